import { fromBinary } from "@bufbuild/protobuf";
import { type Envelope, EnvelopeSchema } from "../../../gen/gatehouse/bus/v1/bus_pb.ts";
import type { DeadEntry, Log } from "./log.ts";
import { origin, type Position, parsePosition } from "./position.ts";
import type { Topic } from "./topic.ts";

/** A message that a consumer group has given up on, with its envelope where that can be read. */
export interface DeadLetter extends DeadEntry {
  readonly envelope: Envelope | undefined;
}

/** What consumer groups have given up on: kept until an operator replays or discards it. */
export interface DeadLetters {
  /** Up to `limit` (default 100, at most 1,000) dead letters after one, the oldest first. */
  list(topic: Topic, options?: { readonly after?: Position; readonly limit?: number }): Promise<readonly DeadLetter[]>;
  /** Publishes a dead letter again, under its old `id`, for the group that gave up on it; `undefined` when there is none. */
  replay(topic: Topic, id: Position): Promise<Position | undefined>;
  /** Deletes a dead letter; false when there is none. */
  discard(topic: Topic, id: Position): Promise<boolean>;
}

export function createDeadLetters(log: Log): DeadLetters {
  return {
    async list(topic, { after = origin, limit = 100 } = {}) {
      const entries = await log.listDead(topic.name, parsePosition(after), Math.min(Math.max(limit, 1), 1_000));
      return entries.map((entry) => ({ ...entry, envelope: readEnvelope(entry.body) }));
    },
    replay: async (topic, id) => await log.replayDead(topic.name, parsePosition(id)),
    discard: async (topic, id) => await log.discardDead(topic.name, parsePosition(id)),
  };
}

function readEnvelope(body: Uint8Array): Envelope | undefined {
  try {
    return fromBinary(EnvelopeSchema, body);
  } catch {
    return undefined;
  }
}
