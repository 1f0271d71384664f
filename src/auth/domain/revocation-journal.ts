import type { Awaitable } from "../../shared/awaitable.ts";
import type { Revocation } from "./revocations.ts";

/** A revocation that was begun. */
export interface BegunRevocation {
  /** A UUID; its announcement has the same, however often it is made. */
  readonly id: string;
  /** When it was asked for, in milliseconds since the epoch: what came after is not meant. */
  readonly time: number;
  readonly revocation: Revocation;
}

/**
 * Keeps revocations from when they are begun until they are announced, so that any replica can carry out what another has
 * left half done. A write is durable once it is answered. Throws ServiceError UNAVAILABLE when it cannot be reached.
 */
export interface RevocationJournal {
  begin(begun: BegunRevocation): Awaitable<void>;
  finish(begun: BegunRevocation): Awaitable<void>;
  /** Up to `limit` of those that were begun before a time and are not finished, the oldest first. */
  unfinished(before: number, limit: number): Awaitable<readonly BegunRevocation[]>;
}
