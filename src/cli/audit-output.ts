import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { CommandInput, CommandOption } from "./command.ts";

/** Whether an event is one to show. */
export type AuditFilter = (event: JsonObject) => boolean;

/** Options that choose among events. */
export const filterOptions: { readonly [name: string]: CommandOption } = {
  operation: {
    type: "string",
    placeholder: "NAME",
    description: "Only this operation, for example authenticate, decide or CreateUser.",
  },
  outcome: { type: "string", placeholder: "success|denied|error", description: "Only events that ended so." },
  actor: { type: "string", placeholder: "ID", description: "Only what this user or client did." },
  resource: { type: "string", placeholder: "ID", description: "Only what was done to this." },
  request: { type: "string", placeholder: "ID", description: "Only what was part of this request." },
};

export function filterOf(values: CommandInput["values"]): AuditFilter {
  const wanted: [(event: JsonObject) => JsonValue | undefined, unknown][] = [
    [({ operation }) => operation, values.operation],
    [({ outcome }) => outcome, values.outcome],
    [({ actor }) => (actor as JsonObject | undefined)?.id, values.actor],
    [({ resource }) => (resource as JsonObject | undefined)?.id, values.resource],
    [({ requestId }) => requestId, values.request],
  ];
  return (event) => wanted.every(([read, value]) => value === undefined || read(event) === value);
}

/** Control characters beyond ASCII's, and those that turn the direction of what follows. */
const steering = /[\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** An event in a line for people. */
export function eventText(event: JsonObject): string {
  const { time, service, operation, outcome, reason, actor, action, resource, decisionId, peerAddress } = event;
  const parts = [
    time,
    service,
    operation,
    outcome,
    reason,
    actor === undefined ? undefined : `by ${uidText(actor)}`,
    action === undefined ? undefined : `do ${uidText(action)}`,
    resource === undefined ? undefined : `on ${uidText(resource)}`,
    decisionId === undefined ? undefined : `decision ${plain(String(decisionId))}`,
    peerAddress === undefined ? undefined : `from ${plain(String(peerAddress))}`,
  ];
  return parts.filter((part) => part !== undefined).join(" ");
}

function uidText(uid: JsonValue): string {
  const { type, id } = uid as { type: string; id: string };
  return `${plain(type)}::"${plain(id)}"`;
}

/** Text of a caller, without what would steer a terminal. */
export function plain(text: string): string {
  const escaped = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(text).slice(1, -1).replace(steering, escaped);
}
