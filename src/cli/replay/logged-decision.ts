import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { eventToJson } from "../../shared/audit/event-json.ts";
import { comparePositions } from "../../shared/bus/position.ts";
import { audit } from "../../shared/bus/topics.ts";
import { CommandError, type CommandInput } from "../command.ts";
import { type OpenBus, withBuses } from "../open-buses.ts";

/** The name of an entity. */
export interface Uid {
  readonly type: string;
  readonly id: string;
}

/** A decision as the audit topic tells of it. */
export interface LoggedDecision {
  readonly decisionId: string;
  readonly time: string;
  readonly revision: string;
  readonly principal: Uid;
  readonly action: Uid;
  readonly resource: Uid;
  /** Undefined when it was too large to be logged. */
  readonly context: JsonObject | undefined;
  readonly entities: readonly JsonObject[] | undefined;
  readonly decision: "ALLOW" | "DENY";
  readonly determining: readonly string[];
  readonly failed: readonly string[];
  readonly indeterminate: boolean;
  /** Paths of what was masked, so that it cannot be replayed as it was. */
  readonly masked: readonly string[];
}

/**
 * Finds a decision in an audit file, or on the bus.
 *
 * @throws CommandError when it is not there.
 */
export async function findLoggedDecision(
  input: Pick<CommandInput, "values">,
  decisionId: string,
): Promise<LoggedDecision> {
  const path = input.values.file;
  const event =
    path === undefined
      ? await withBuses(input, (buses) => findOnBus(buses, decisionId))
      : await findInFile(String(path), decisionId);
  if (event === undefined) {
    const where = path === undefined ? "on the bus: it was not logged, or is no longer kept" : `in ${path}`;
    throw new CommandError(`Decision ${decisionId} is not ${where}.`);
  }
  return toLoggedDecision(event);
}

async function findInFile(path: string, decisionId: string): Promise<JsonObject | undefined> {
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
  try {
    for await (const line of lines) {
      if (!line.includes(decisionId)) continue;
      const event = parsed(line);
      if (event?.decisionId === decisionId) return event;
    }
    return undefined;
  } catch (error) {
    throw new CommandError(`${path} cannot be read: ${(error as Error).message}`);
  } finally {
    lines.close();
  }
}

function parsed(line: string): JsonObject | undefined {
  try {
    return JSON.parse(line) as JsonObject;
  } catch {
    return undefined;
  }
}

async function findOnBus(buses: readonly OpenBus[], decisionId: string): Promise<JsonObject | undefined> {
  for (const { bus } of buses) {
    const last = await bus.position(audit);
    const ending = new AbortController();
    let found: JsonObject | undefined;
    const follower = bus.follow(audit, {
      after: "start",
      signal: ending.signal,
      onMessage(message) {
        if (message.payload.decisionId === decisionId) found = eventToJson(message);
        if (found !== undefined || comparePositions(message.position, last) >= 0) ending.abort();
      },
      onGap: () => undefined,
      // Also when there is nothing, or what there is was published again for one group alone.
      onFresh: () => ending.abort(),
    });
    await follower.closed;
    if (found !== undefined) return found;
  }
  return undefined;
}

function toLoggedDecision(event: JsonObject): LoggedDecision {
  const details = (event.details ?? {}) as JsonObject;
  const omitted = String(details.omitted ?? "").split(" ");
  return {
    decisionId: String(event.decisionId),
    time: String(event.time),
    revision: String(event.policyRevision ?? ""),
    principal: uidOf(event.actor),
    action: uidOf(event.action),
    resource: uidOf(event.resource),
    context: omitted.includes("context") ? undefined : ((details.context ?? {}) as JsonObject),
    entities: omitted.includes("entities") ? undefined : ((details.entities ?? []) as JsonObject[]),
    decision: event.outcome === "success" ? "ALLOW" : "DENY",
    determining: textsOf(event.determiningPolicies),
    failed: textsOf(details.failed),
    indeterminate: event.reason === "INDETERMINATE",
    masked: textsOf(details.masked),
  };
}

function uidOf(value: JsonValue | undefined): Uid {
  const { type = "", id = "" } = (value ?? {}) as JsonObject;
  return { type: String(type), id: String(id) };
}

function textsOf(value: JsonValue | undefined): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
