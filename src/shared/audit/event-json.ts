import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type AuditEventSchema, AuditOutcome, type EntityKey } from "../../../gen/gatehouse/bus/v1/topics_pb.ts";
import type { Message } from "../bus/message.ts";

/** Details that are JSON texts, shown as what they say. */
const structured: ReadonlySet<string> = new Set(["request", "context", "entities", "masked", "failed"]);

const outcomes: Readonly<Record<number, string>> = {
  [AuditOutcome.SUCCESS]: "success",
  [AuditOutcome.DENIED]: "denied",
  [AuditOutcome.ERROR]: "error",
};

/** An event as one JSON object: what is empty is left out. The form of the audit file and of `gatehouse audit tail`. */
export function eventToJson({
  id,
  service,
  operation,
  timestamp,
  payload,
}: Message<typeof AuditEventSchema>): JsonObject {
  const time = payload.eventTime === undefined ? new Date(timestamp) : timestampDate(payload.eventTime);
  const all: { [name: string]: JsonValue | undefined } = {
    id,
    time: time.toISOString(),
    service,
    operation,
    outcome: outcomes[payload.outcome] ?? "unknown",
    reason: payload.reason,
    actor: nameOf(payload.actor),
    action: nameOf(payload.action),
    resource: nameOf(payload.resource),
    sessionId: payload.sessionId,
    peerAddress: payload.peerAddress,
    requestId: payload.requestId,
    traceparent: payload.traceparent,
    decisionId: payload.decisionId,
    policyRevision: payload.policyRevision,
    // Of a denial by default it is empty, and says so.
    determiningPolicies: payload.decisionId === "" ? undefined : payload.determiningPolicies,
    details: detailsOf(payload.details),
  };
  return Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, JsonValue] => entry[1] !== undefined && entry[1] !== ""),
  );
}

function nameOf(key: EntityKey | undefined): JsonValue | undefined {
  return key === undefined ? undefined : { type: key.type, id: key.id };
}

function detailsOf(details: Readonly<Record<string, string>>): JsonValue | undefined {
  const entries = Object.entries(details);
  if (entries.length === 0) return undefined;
  return Object.fromEntries(entries.map(([name, text]) => [name, structured.has(name) ? parsed(text) : text]));
}

function parsed(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return text;
  }
}
