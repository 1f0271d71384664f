/** Why a follower can no longer vouch for having seen everything. */
export type GapReason =
  /** Messages after its position are no longer kept. */
  | "trimmed"
  /** The store lost messages that it had given out. */
  | "lost"
  /** A message could not be decoded. */
  | "unreadable";

/** What the bus tells of itself, for metrics and logs. All are optional, must be quick, and must not throw. */
export interface BusObserver {
  /** A publish of some messages ended, well or not, after some milliseconds. */
  published?(topic: string, milliseconds: number, ok: boolean, count: number): void;
  /** A follower has applied a message, some milliseconds (by two machines' clocks) after it was published. */
  followed?(topic: string, ageMs: number): void;
  gap?(topic: string, reason: GapReason): void;
  /** A follower's feed is confirmed (true) or has not been for too long (false). */
  fresh?(topic: string, fresh: boolean): void;
  /** A consumer's handler ended. */
  handled?(topic: string, group: string, milliseconds: number, ok: boolean): void;
  deadLettered?(topic: string, group: string): void;
  /** The state of a consumer group, told every few seconds; `lag` is undefined when the store cannot tell. */
  group?(topic: string, group: string, lag: number | undefined, pending: number): void;
  /** Something failed and will be tried again: the store, or a follower's or consumer's own callback. */
  failed?(topic: string, error: unknown): void;
}
