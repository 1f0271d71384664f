import type { DescMessage } from "@bufbuild/protobuf";
import { createFreshness } from "./freshness.ts";
import type { Log, LogEntry, LogReader } from "./log.ts";
import { decodeMessage, type Message } from "./message.ts";
import type { BusObserver, GapReason } from "./metrics.ts";
import { comparePositions, origin, type Position, parsePosition } from "./position.ts";
import { backOff, untilDone } from "./retry.ts";
import type { Topic } from "./topic.ts";
import { createWaiters } from "./waiters.ts";

export interface FollowOptions<D extends DescMessage> {
  /** Where to begin: after a position, with what is published from now on, or with the oldest message that is kept. */
  readonly after: Position | "now" | "start";
  /**
   * Applies a message. Called for one at a time, in order. When it throws it is called again with the same message until it
   * succeeds, and the follower grows stale meanwhile: a replica that cannot apply a message must not be trusted.
   */
  readonly onMessage: (message: Message<D>) => void | Promise<void>;
  /**
   * Told that messages were missed: whatever was built from them must be built anew from its source before this returns.
   * Repeated until it succeeds. Following goes on after the gap.
   */
  readonly onGap: (reason: GapReason) => void | Promise<void>;
  /** Told when the feed has not been confirmed for `staleAfterMs`. `isFresh` is what to rely on; this is for logs. */
  readonly onStale?: () => void;
  /** Told when the feed is confirmed, first or again: everything published before has been applied. */
  readonly onFresh?: () => void;
  /** For how long a confirmation holds, in milliseconds, from 40. Default: 2,000. Confirmed four times as often. */
  readonly staleAfterMs?: number;
  /** Ends the following. */
  readonly signal: AbortSignal;
}

/** One replica's reading of a topic. */
export interface Follower {
  /** Position up to which everything is applied; `undefined` until the first connection when it begins at "now". */
  readonly position: Position | undefined;
  /** Whether everything published up to `staleAfterMs` ago is known to be applied. When false, caches must not be trusted. */
  isFresh(): boolean;
  /**
   * Resolves once everything up to a position has been applied.
   *
   * @param deadline in milliseconds since the epoch.
   * @throws ServiceError DEADLINE_EXCEEDED (BUS_WAIT_EXPIRED); INVALID_ARGUMENT (BUS_POSITION_INVALID); RESOURCE_EXHAUSTED
   *   (BUS_TOO_MANY_WAITERS); UNAVAILABLE (BUS_CLOSED) when the following ends.
   */
  waitFor(position: Position, deadline: number): Promise<void>;
  /** Resolves when the following has ended. */
  readonly closed: Promise<void>;
}

/** How many messages are read at once. */
const batchSize = 256;
const maxRetryMs = 1_000;

/** Follows a topic. See FollowOptions. */
export function createFollower<D extends DescMessage>(
  log: Log,
  observer: BusObserver,
  topic: Topic<D>,
  options: FollowOptions<D>,
): Follower {
  const { signal } = options;
  const staleAfterMs = options.staleAfterMs ?? 2_000;
  if (!(staleAfterMs >= 40)) throw new RangeError("staleAfterMs must be at least 40.");
  const waitMs = Math.min(1_000, Math.floor(staleAfterMs / 4));
  const waiters = createWaiters();
  const freshness = createFreshness(staleAfterMs, (fresh) => {
    observer.fresh?.(topic.name, fresh);
    if (fresh) options.onFresh?.();
    else options.onStale?.();
  });
  const retry = { signal, maxWaitMs: maxRetryMs, onError: (error: unknown) => observer.failed?.(topic.name, error) };

  let cursor: Position | undefined =
    options.after === "now" ? undefined : options.after === "start" ? origin : parsePosition(options.after);
  // Beginning with what is kept, there is nothing that could have been missed before it.
  let lenient = options.after === "start";

  function moveTo(position: Position): void {
    cursor = position;
    waiters.reached(position);
  }

  async function gap(reason: GapReason): Promise<boolean> {
    observer.gap?.(topic.name, reason);
    return await untilDone(() => options.onGap(reason), retry);
  }

  /** Finds where to begin, and whether the store still knows of where we are. */
  async function resume(reader: LogReader): Promise<void> {
    const last = await reader.last(topic.name);
    if (cursor === undefined) moveTo(last);
    else if (comparePositions(last, cursor) < 0 && (await gap("lost"))) moveTo(last);
  }

  /** Applies one entry; false when aborted before it was. */
  async function apply(entry: LogEntry, from: Position): Promise<boolean> {
    if (entry.previous !== from && !lenient) {
      const reason = comparePositions(entry.previous, from) > 0 ? "trimmed" : "lost";
      if (!(await gap(reason))) return false;
    }
    lenient = false;
    if (entry.target === undefined) {
      const message = decode(entry);
      if (message === undefined) {
        if (!(await gap("unreadable"))) return false;
      } else {
        if (!(await untilDone(() => options.onMessage(message), retry))) return false;
        observer.followed?.(topic.name, Date.now() - message.timestamp);
      }
    }
    moveTo(entry.position);
    return true;
  }

  function decode(entry: LogEntry): Message<D> | undefined {
    try {
      return decodeMessage(topic, entry.position, entry.body);
    } catch (error) {
      observer.failed?.(topic.name, error);
      return undefined;
    }
  }

  async function run(): Promise<void> {
    const reader = log.openReader();
    const close = (): void => reader.close();
    signal.addEventListener("abort", close, { once: true });
    let resumed = false;
    for (let failures = 0; !signal.aborted; ) {
      try {
        // The first look does not linger, so that a follower with nothing to catch up with is confirmed at once.
        const linger = resumed ? waitMs : 1;
        if (!resumed) await resume(reader);
        resumed = true;
        let from = cursor ?? origin;
        const { entries, asOf } = await reader.read(topic.name, from, batchSize, linger);
        failures = 0;
        for (const entry of entries) {
          if (!(await apply(entry, from))) return;
          from = entry.position;
        }
        if (asOf !== undefined && !signal.aborted) freshness.confirm(asOf);
      } catch (error) {
        if (signal.aborted) return;
        resumed = false;
        failures += 1;
        observer.failed?.(topic.name, error);
        await backOff(failures, maxRetryMs, signal);
      }
    }
  }

  const closed = run().finally(() => {
    freshness.close();
    waiters.close();
  });

  return {
    get position() {
      return cursor;
    },
    isFresh: () => freshness.isFresh(),
    waitFor: (position, deadline) => waiters.wait(position, cursor, deadline),
    closed,
  };
}
