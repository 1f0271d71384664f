import {
  AuditEventSchema,
  EntitiesChangedSchema,
  PolicyRevisionChangedSchema,
  RevocationSchema,
} from "../../../gen/gatehouse/bus/v1/topics_pb.ts";
import { defineTopic, type Topic } from "./topic.ts";

/** Revoked tokens, sessions, users and clients; followed by every auth-service replica. */
export const revocations: Topic<typeof RevocationSchema> = defineTopic({
  name: "revocations",
  schema: RevocationSchema,
  maxLength: 100_000,
});

/** Changes of the active and the shadow policy revision; followed by every policy-service replica. */
export const policyRevisions: Topic<typeof PolicyRevisionChangedSchema> = defineTopic({
  name: "policy-revisions",
  schema: PolicyRevisionChangedSchema,
  maxLength: 1_000,
});

/** Changed entities; followed by every policy-service replica. */
export const entities: Topic<typeof EntitiesChangedSchema> = defineTopic({
  name: "entities",
  schema: EntitiesChangedSchema,
  maxLength: 10_000,
});

/** Audit events; consumed in groups, one for each destination. */
export const audit: Topic<typeof AuditEventSchema> = defineTopic({
  name: "audit",
  schema: AuditEventSchema,
  maxLength: 100_000,
});

/** All topics by name. */
export const topics: ReadonlyMap<string, Topic> = new Map(
  [revocations, policyRevisions, entities, audit].map((topic): [string, Topic] => [topic.name, topic]),
);
