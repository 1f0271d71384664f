export interface AdaptiveLimitOptions {
  /** Calls in flight at first. Default: 100, or `max` when that is less. */
  readonly initial?: number;
  /** Most calls in flight, however well the target does. */
  readonly max: number;
}

/** Share of the limit that stays when the target refuses. */
const backOff = 0.8;

/**
 * Finds how many calls in flight a target can bear, as TCP finds its window (additive increase, multiplicative decrease; RFC 5681):
 * answers raise the limit, by one for each that many; a refusal lowers it by a fifth, but only once for all the calls
 * that were in flight together. What is above the limit is not sent, so that an overloaded target is spared even the refusing.
 */
export class AdaptiveLimit {
  private readonly max: number;
  private limit: number;
  private inFlight = 0;
  private loweredAt = Number.NEGATIVE_INFINITY;

  constructor({ max, initial = 100 }: AdaptiveLimitOptions) {
    this.max = max;
    this.limit = Math.min(initial, max);
  }

  /** Calls that may be in flight now. */
  get current(): number {
    return Math.floor(this.limit);
  }

  /** Takes a place for a call; false when there is none. */
  enter(): boolean {
    if (this.inFlight >= this.current) return false;
    this.inFlight += 1;
    return true;
  }

  /** The target took the call on, whatever it answered. */
  leaveAccepted(): void {
    // A limit that is not reached says nothing of the target.
    if (this.inFlight * 2 >= this.limit) this.limit = Math.min(this.max, this.limit + 1 / this.limit);
    this.inFlight -= 1;
  }

  /**
   * The target refused the call for overload, or did not answer in time.
   *
   * @param startedAt When the call was sent, by the clock of `now`.
   */
  leaveRefused(startedAt: number, now: number): void {
    this.inFlight -= 1;
    if (startedAt < this.loweredAt) return;
    this.limit = Math.max(1, this.limit * backOff);
    this.loweredAt = now;
  }
}
