export interface AdaptiveLimitOptions {
  /** Calls in flight at first. Default: 100, or `max` when that is less. */
  readonly initial?: number;
  /** Most calls in flight, however well the target does. */
  readonly max: number;
}

/** A target that has not refused for so long is taken to bear anything again, in milliseconds. */
const memoryMs = 5_000;
/** What is left of the calls in flight when the target refuses. */
const backOff = 0.5;

/**
 * Finds how many calls in flight a target can bear, as TCP finds its window (additive increase, multiplicative decrease; RFC 5681):
 * a refusal lowers the limit to half of what was in flight, once for all calls that were; after that, answers raise it by one for
 * each limit's worth of them. What is above the limit is not sent, so that an overloaded target is spared even the refusing.
 */
export class AdaptiveLimit {
  private readonly max: number;
  private limit: number;
  private inFlight = 0;
  private loweredAt: number = Number.NEGATIVE_INFINITY;

  /** @param max Most calls in flight, however well the target does; what it begins with. */
  constructor(max: number) {
    this.max = max;
    this.limit = max;
  }

  /** Calls that may be in flight now. */
  get current(): number {
    return Math.floor(this.limit);
  }

  /** Takes a place for a call; false when there is none. `now` is in milliseconds. */
  enter(now: number): boolean {
    if (this.inFlight >= this.current) {
      if (now - this.loweredAt < memoryMs || this.inFlight >= this.max) return false;
      this.limit = this.max;
    }
    this.inFlight += 1;
    return true;
  }

  /** Gives the place back, however the call ended. */
  leave(): void {
    this.inFlight -= 1;
  }

  /** The target took a call on, whatever it answered. To be told before the call leaves. */
  recordAccepted(): void {
    // A limit that is not reached says nothing of the target.
    if (this.limit < this.max && this.inFlight * 2 >= this.limit) {
      this.limit = Math.min(this.max, this.limit + 1 / this.limit);
    }
  }

  /**
   * The target refused a call for overload, or did not answer in time. To be told before the call leaves.
   *
   * @param sentAt When the call was sent, by the clock of `now`.
   */
  recordRefused(sentAt: number, now: number): void {
    if (sentAt < this.loweredAt) return;
    this.limit = Math.max(1, Math.min(this.limit, this.inFlight) * backOff);
    this.loweredAt = now;
  }
}
