import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type AuditEvent, AuditOutcome, type EntityKey } from "../../../gen/gatehouse/bus/v1/topics_pb.ts";

/** The name of whoever did something, or of what it was done to. */
export interface AuditName {
  readonly type: string;
  readonly id: string;
}

/** Something that somebody did or tried. Holds no secret. */
export interface AuditRecord {
  /** What was done, for example `authenticate`, `CreateUser` or `decide`. At most 64 bytes. */
  readonly operation: string;
  readonly outcome: "success" | "denied" | "error";
  /** Stable reason for anything but success. */
  readonly reason?: string | undefined;
  /** Who did it, as far as it was verified. */
  readonly actor?: AuditName | undefined;
  readonly action?: AuditName | undefined;
  readonly resource?: AuditName | undefined;
  readonly sessionId?: string | undefined;
  readonly peerAddress?: string | undefined;
  readonly requestId?: string | undefined;
  readonly traceparent?: string | undefined;
  readonly decisionId?: string | undefined;
  readonly policyRevision?: string | undefined;
  readonly determiningPolicies?: readonly string[] | undefined;
  readonly details?: Readonly<Record<string, string>> | undefined;
}

/** Longest text of a field, in UTF-16 units; longer ones are cut. A name of the contracts is at most 1,024 bytes. */
const maxText = 1_024;
/** Most texts in a list. */
const maxListed = 100;
/** Longest detail, in UTF-16 units. Whoever makes longer ones bounds them better than by cutting. */
const maxDetail = 65_536;

const outcomes = {
  success: AuditOutcome.SUCCESS,
  denied: AuditOutcome.DENIED,
  error: AuditOutcome.ERROR,
} as const;

/** The event as the bus carries it, every field within its bounds. Made whole, since `create` would be most of its cost. */
export function toAuditEvent(record: AuditRecord, now: number): AuditEvent {
  const { actor, action, resource, details = {} } = record;
  return {
    $typeName: "gatehouse.bus.v1.AuditEvent",
    eventTime: timestampFromMs(now),
    outcome: outcomes[record.outcome],
    reason: bounded(record.reason),
    ...(actor === undefined ? {} : { actor: toName(actor) }),
    ...(action === undefined ? {} : { action: toName(action) }),
    ...(resource === undefined ? {} : { resource: toName(resource) }),
    sessionId: bounded(record.sessionId),
    peerAddress: bounded(record.peerAddress),
    requestId: bounded(record.requestId),
    traceparent: bounded(record.traceparent),
    decisionId: bounded(record.decisionId),
    policyRevision: bounded(record.policyRevision),
    determiningPolicies: (record.determiningPolicies ?? []).slice(0, maxListed).map((id) => bounded(id)),
    details: Object.fromEntries(Object.entries(details).map(([name, text]) => [name, bounded(text, maxDetail)])),
  };
}

function toName({ type, id }: AuditName): EntityKey {
  return { $typeName: "gatehouse.bus.v1.EntityKey", type: bounded(type), id: bounded(id) };
}

/** A text that protobuf can carry: bounded, and without half characters, which a cut may leave. */
function bounded(text = "", max = maxText): string {
  return (text.length > max ? `${text.slice(0, max - 1)}…` : text).toWellFormed();
}
