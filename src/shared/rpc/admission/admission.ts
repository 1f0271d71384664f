import { Deque } from "./deque.ts";
import { LoopLag } from "./loop-lag.ts";
import type { OverloadLimits } from "./overload-limits.ts";
import { RecentMax } from "./recent-max.ts";

/** Most calls begun in one turn of the event loop… */
const maxPerTurn = 64;
/** …and how much work, in milliseconds, before those that came meanwhile are taken in. */
const turnMs = 4;
/** Half of the time that the longest wait is told for, in milliseconds: at least the interval of scrapes. */
const recentMs = 30_000;

/** A call that has arrived and waits for its turn. */
export interface Arrival {
  /** When it came, by `performance.now()`. */
  readonly arrivedAt: number;
  /** Whether nobody waits for it any longer at `now`. */
  isLate(now: number): boolean;
  /** Works on it. One of the last three is called, once. */
  begin(now: number): void;
  /** Answers that there is no room for it. */
  refuse(): void;
  /** Lets go of it, as it is late. */
  drop(): void;
}

/** Why a call is shed: too many wait already, or it has waited for too long. */
export type ShedCause = "queue_full" | "queue_delay";

/**
 * Decides which calls a host takes on, and in which order.
 *
 * A handler that answers at once never lets calls queue where anybody could see them: they would wait in the sockets, in order,
 * until all are too old to be of use. So each turn of the event loop first takes in what has arrived, which is cheap, and
 * then begins a few calls. That makes the queue visible, its delay exact, and its order ours:
 *
 * - Delay is controlled as CoDel does it (RFC 8289), in the form for servers of "Fail at Scale" (ACM Queue 13/8): a burst may wait for
 *   the interval, but once the host has been behind for so long, nothing waits for longer than the target.
 * - While the host is behind, the newest call comes first, whose caller will still be there for the answer.
 * - A call whose caller is gone, or whose deadline has passed, is not begun.
 */
export class Admission {
  readonly shed: Record<ShedCause, number> = { queue_full: 0, queue_delay: 0 };
  /** Calls that were not begun, as their deadline had passed or their caller was gone. */
  expired = 0;
  /** Unary calls that are being worked on. */
  inFlight = 0;
  private readonly limits: OverloadLimits;
  private readonly queue = new Deque<Arrival>();
  private readonly lag: LoopLag;
  private readonly turn = (): void => {
    this.scheduled = false;
    this.takeTurn(performance.now());
  };
  private readonly turnIsOver = (): void => this.recordTurn(performance.now());
  private scheduled = false;
  private turnBegan = 0;
  private begunInTurn = 0;
  private meanCostMs = turnMs / maxPerTurn;
  /** When the host was last seen to keep up: neither did a call wait for longer than the target, nor was the loop late. */
  private keptUpAt = performance.now();
  /** Whether that is longer ago than the interval. Known at the end of a turn: one that is long in itself proves nothing. */
  private behind = false;
  private readonly longest = new RecentMax(recentMs);

  constructor(limits: OverloadLimits) {
    this.limits = limits;
    // Also while all places are taken, what waits must not wait for too long.
    this.lag = new LoopLag(limits.targetDelayMs, (now) => {
      if (!this.scheduled) this.takeTurn(now);
    });
  }

  get queued(): number {
    return this.queue.length;
  }

  /** How late the event loop is, in milliseconds. */
  get loopLagMs(): number {
    return this.lag.ms;
  }

  /** The longest time that a call waited lately, in milliseconds. */
  get longestWaitMs(): number {
    return this.longest.value;
  }

  /** Takes in a call: it begins in this turn of the event loop or a later one, or is refused, or another is that waits for too long. */
  queueUp(arrival: Arrival): void {
    const { queue, limits } = this;
    if (queue.length >= limits.maxQueued) {
      this.shed.queue_full += 1;
      if (this.waitedMs(arrival.arrivedAt) <= limits.targetDelayMs) {
        arrival.refuse();
        return;
      }
      queue.takeOldest()?.refuse();
    }
    // An empty queue is one that is kept up with, also when the loop has been too busy for the probe to see it.
    if (queue.length === 0 && !this.lag.isLasting) this.keptUpAt = arrival.arrivedAt;
    queue.push(arrival);
    this.schedule();
  }

  /** Whether to refuse a call that begins at once or not at all, as streams and those on the edge do: while the host is behind. */
  refuses(): boolean {
    if (this.inFlight >= this.limits.maxInFlight) this.shed.queue_full += 1;
    else if (this.behind) this.shed.queue_delay += 1;
    else return false;
    return true;
  }

  /** A unary call is being worked on. */
  enter(): void {
    this.inFlight += 1;
  }

  /** A unary call is over. */
  leave(): void {
    this.inFlight -= 1;
    if (this.queue.length > 0) this.schedule();
  }

  close(): void {
    this.lag.close();
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(this.turn);
    // Runs in the same turn, after all that the calls did at once.
    setImmediate(this.turnIsOver);
  }

  private takeTurn(now: number): void {
    const waitedMs = this.waitedMs(now);
    const { targetDelayMs, overloadIntervalMs, maxInFlight } = this.limits;
    const late = waitedMs > targetDelayMs;
    this.longest.record(waitedMs, now);
    if (!late && !this.lag.isLasting) this.keptUpAt = now;
    this.behind = now - this.keptUpAt > overloadIntervalMs;
    const perTurn = Math.max(1, Math.min(maxPerTurn, Math.floor(turnMs / this.meanCostMs)));
    let room = Math.min(perTurn, maxInFlight - this.inFlight);
    if (late) this.refuseLate(now, room);
    this.turnBegan = now;
    while (room > 0) {
      const arrival = late ? this.queue.takeNewest() : this.queue.takeOldest();
      if (arrival === undefined) return;
      if (arrival.isLate(now)) {
        this.expired += 1;
        arrival.drop();
      } else {
        room -= 1;
        this.begunInTurn += 1;
        arrival.begin(now);
      }
    }
    if (this.queue.length > 0 && this.inFlight < this.limits.maxInFlight) this.schedule();
  }

  /** Learns what a call costs from what those of this turn did. */
  private recordTurn(now: number): void {
    if (this.begunInTurn === 0) return;
    this.meanCostMs += ((now - this.turnBegan) / this.begunInTurn - this.meanCostMs) / 8;
    this.begunInTurn = 0;
  }

  /** Refuses calls that have waited for too long, but for those that there is room for: nothing is won by refusing them. */
  private refuseLate(now: number, room: number): void {
    const { targetDelayMs, overloadIntervalMs } = this.limits;
    const arrivedBefore = now - (this.behind ? targetDelayMs : overloadIntervalMs);
    while (this.queue.length > room) {
      const { oldest } = this.queue;
      if (oldest === undefined || oldest.arrivedAt >= arrivedBefore) return;
      this.queue.takeOldest();
      if (oldest.isLate(now)) {
        this.expired += 1;
        oldest.drop();
      } else {
        this.shed.queue_delay += 1;
        oldest.refuse();
      }
    }
  }

  /** How long the oldest call has waited. */
  private waitedMs(now: number): number {
    const { oldest } = this.queue;
    return oldest === undefined ? 0 : now - oldest.arrivedAt;
  }
}
