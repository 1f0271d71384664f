import type { JsonObject } from "@bufbuild/protobuf";
import { eventToJson } from "../../src/shared/audit/event-json.ts";
import { createBus } from "../../src/shared/bus/bus.ts";
import { audit } from "../../src/shared/bus/topics.ts";
import { openTestLog } from "./bus-store.ts";

/** Every event that the topic `audit` of a store keeps, in order. */
export async function readAuditEvents(store: string): Promise<JsonObject[]> {
  const bus = createBus({ log: openTestLog(store) });
  const events: JsonObject[] = [];
  const ending = new AbortController();
  const follower = bus.follow(audit, {
    after: "start",
    onMessage: (message) => void events.push(eventToJson(message)),
    onGap: () => undefined,
    onFresh: () => ending.abort(),
    signal: ending.signal,
  });
  await follower.closed;
  await bus.close();
  return events;
}
