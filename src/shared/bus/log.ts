import { ServiceError } from "../service-error.ts";
import type { Position } from "./position.ts";

/** An encoded message in a topic. */
export interface LogEntry {
  readonly position: Position;
  /** Position of the entry before it when it was appended; what tells a reader that it has missed some. */
  readonly previous: Position;
  /** The only group that it is for: a dead letter on its second way. `undefined`: everybody. */
  readonly target: string | undefined;
  readonly body: Uint8Array;
}

/** An entry that is now this consumer's to work on. */
export interface Delivery extends LogEntry {
  /** How often it has been delivered, this time included. */
  readonly deliveries: number;
}

export interface LogRead {
  readonly entries: readonly LogEntry[];
  /**
   * The latest instant (`performance.now()`) at which the topic is known to have held nothing beyond these entries;
   * `undefined` when it may have. Counted from when the question was asked, so that an answer that lay in a socket while this
   * process was stopped is as old as it is.
   */
  readonly asOf: number | undefined;
}

export interface GroupMember {
  readonly topic: string;
  readonly group: string;
  readonly consumer: string;
}

/** A message that a group has given up on. */
export interface DeadEntry {
  /** Identifies it among the dead letters of its topic; they are in the order of these. */
  readonly id: Position;
  readonly topic: string;
  readonly group: string;
  /** Where it stood in the topic. */
  readonly position: Position;
  readonly body: Uint8Array;
  /** What the handler last said. */
  readonly error: string;
  readonly deliveries: number;
  /** When it was given up, in milliseconds since the epoch. */
  readonly deadAt: number;
}

export interface GroupStatus {
  readonly name: string;
  /** Messages not yet delivered to any consumer; `undefined` when the store cannot tell. */
  readonly lag: number | undefined;
  /** Messages delivered but not acknowledged. */
  readonly pending: number;
}

export interface TopicStatus {
  readonly length: number;
  readonly last: Position;
  readonly groups: readonly GroupStatus[];
  readonly deadLetters: number;
}

/** A reader with a connection of its own, which it may block. One call at a time; a call after a failure connects anew. */
export interface LogReader {
  /** Position of the last entry. */
  last(topic: string): Promise<Position>;
  /** Up to `limit` entries after a position, as soon as there is one, or none after `waitMs`. */
  read(topic: string, after: Position, limit: number, waitMs: number): Promise<LogRead>;
  /** Up to `limit` entries that the group has not seen, as soon as there is one, or none after `waitMs`. */
  readGroup(member: GroupMember, limit: number, waitMs: number): Promise<readonly Delivery[]>;
  /** Ends a pending call with an error. */
  close(): void;
}

/**
 * What the bus asks of a store: topics as append-only sequences, with consumer groups and dead letters.
 *
 * Each method is atomic. All throw ServiceError UNAVAILABLE (BUS_UNAVAILABLE), at the latest after the store's own timeout,
 * when the store cannot be reached; whether an append took place is then unknown.
 */
export interface Log {
  /** @throws ServiceError RESOURCE_EXHAUSTED (BUS_FULL) when unacknowledged messages fill the topic. */
  append(topic: string, maxLength: number, body: Uint8Array): Promise<Position>;
  /** Appends several in their order, at the cost of little more than one; when it throws, some may have been. */
  appendAll(topic: string, maxLength: number, bodies: readonly Uint8Array[]): Promise<void>;
  last(topic: string): Promise<Position>;
  openReader(): LogReader;
  /** Takes over up to `limit` entries that nobody has worked on for `idleMs`. */
  claim(member: GroupMember, idleMs: number, limit: number): Promise<readonly Delivery[]>;
  acknowledge(member: GroupMember, position: Position): Promise<void>;
  /** Makes entries of this consumer look as if it had left them `idleMs` ago; entries of others stay as they are. */
  touch(member: GroupMember, positions: readonly Position[], idleMs: number): Promise<void>;
  /**
   * Acknowledges an entry and puts it among the dead letters, if it is still pending.
   *
   * @throws ServiceError RESOURCE_EXHAUSTED (BUS_DEAD_LETTERS_FULL) when there are too many of those.
   */
  bury(member: GroupMember, delivery: Delivery, error: string): Promise<void>;
  listDead(topic: string, after: Position, limit: number): Promise<readonly DeadEntry[]>;
  /** Appends a dead letter to its topic again, for its group alone; `undefined` when there is none of that id. */
  replayDead(topic: string, id: Position): Promise<Position | undefined>;
  /** Deletes a dead letter; false when there is none of that id. */
  discardDead(topic: string, id: Position): Promise<boolean>;
  status(topic: string): Promise<TopicStatus>;
  /** Closes what the log itself opened. */
  close(): Promise<void>;
}

/** How many dead letters of a topic are kept; beyond, messages stay pending and are tried on. */
export const maxDeadLetters = 100_000;

export function unavailable(cause: unknown): ServiceError {
  return new ServiceError("UNAVAILABLE", "The message bus cannot be reached.", {
    reason: "BUS_UNAVAILABLE",
    retryAfterMs: 1_000,
    cause,
  });
}

export function topicFull(): ServiceError {
  return new ServiceError(
    "RESOURCE_EXHAUSTED",
    "The topic is full of messages that a consumer group has yet to acknowledge.",
    {
      reason: "BUS_FULL",
      retryAfterMs: 1_000,
    },
  );
}

export function deadLettersFull(): ServiceError {
  return new ServiceError("RESOURCE_EXHAUSTED", "The topic has too many dead letters.", {
    reason: "BUS_DEAD_LETTERS_FULL",
  });
}
