import type { BegunRevocation } from "./revocation-journal.ts";
import type { Revocation } from "./revocations.ts";

/** A revocation as it was announced. */
export interface AnnouncedRevocation {
  readonly position: string;
  /** When it was asked for, in milliseconds since the epoch. */
  readonly time: number;
  /** Undefined when it is of a kind that this version does not know. */
  readonly revocation: Revocation | undefined;
}

/** Tells all replicas of revocations, and is told. */
export interface RevocationFeed {
  /** Tells every replica; answers the position. Throws ServiceError UNAVAILABLE. */
  announce(begun: BegunRevocation): Promise<string>;
  /** Position up to which this replica has applied everything; undefined until it knows. */
  readonly position: string | undefined;
  /** Streams that are served. */
  readonly watchers: number;
  /** Whether this replica has applied all that was announced until a moment ago. Judged when asked: see Follower. */
  isFresh(): boolean;
  /**
   * Resolves once this replica has applied everything up to a position, with the position that it has reached.
   *
   * @param deadline in milliseconds since the epoch.
   * @throws ServiceError DEADLINE_EXCEEDED (reason BUS_WAIT_EXPIRED); RESOURCE_EXHAUSTED (BUS_TOO_MANY_WAITERS) when 100 wait
   *   already; and see Follower.
   */
  waitFor(position: string, deadline: number): Promise<string>;
  /**
   * Answers the position it begins at, then each revocation after it, until aborted.
   *
   * @param after Position to begin after; empty for now.
   * @throws ServiceError OUT_OF_RANGE (reason REVOCATIONS_NOT_KEPT) when something after the position is not kept any more;
   *   RESOURCE_EXHAUSTED (TOO_MANY_WATCHERS, WATCHER_TOO_SLOW); UNAVAILABLE (REVOCATIONS_UNCONFIRMED) when the feed is lost.
   */
  watch(after: string, signal: AbortSignal): AsyncGenerator<{ readonly position: string } | AnnouncedRevocation>;
  start(): void;
  close(): Promise<void>;
}
