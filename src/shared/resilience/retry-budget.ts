/**
 * Bounds retries to a share of the calls, so that a failing target is not hit harder for failing.
 *
 * A token bucket: each call adds `ratio` of a token, each retry takes a whole one. It starts full, so that a client with
 * little traffic may retry too.
 */
export class RetryBudget {
  readonly #ratio: number;
  readonly #capacity: number;
  #tokens: number;

  /**
   * @param ratio Retries for each call, 0 to 1.
   * @param capacity Most retries that can be saved up.
   */
  constructor(ratio = 0.1, capacity = 10) {
    this.#ratio = ratio;
    this.#capacity = capacity;
    this.#tokens = capacity;
  }

  /** Counts `calls` first attempts. */
  deposit(calls = 1): void {
    this.#tokens = Math.min(this.#capacity, this.#tokens + this.#ratio * calls);
  }

  /** Takes the token of one retry; false when there is none. */
  withdraw(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
