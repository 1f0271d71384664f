import { type CircuitState, ConsecutiveBreaker, type IBreaker, SamplingBreaker } from "cockatiel";

export interface BreakerThresholds {
  /** Failures in a row that open the circuit. Default: 5. */
  readonly consecutiveFailures?: number;
  /** Share of failures, between 0 and 1, that opens it. Default: 0.5. */
  readonly failureRatio?: number;
  /** Time over which the share is taken, in milliseconds. Default: 10,000. */
  readonly windowMs?: number;
  /** Calls within that time below which the share says nothing. Default: 20. */
  readonly minimumCalls?: number;
}

/** Opens when a target is dead (failures in a row) and when it is sick (a share of failures among successes). */
export class ThresholdBreaker implements IBreaker {
  readonly #consecutive: ConsecutiveBreaker;
  readonly #share: SamplingBreaker;

  constructor(thresholds: BreakerThresholds = {}) {
    const { consecutiveFailures = 5, failureRatio = 0.5, windowMs = 10_000, minimumCalls = 20 } = thresholds;
    this.#consecutive = new ConsecutiveBreaker(consecutiveFailures);
    this.#share = new SamplingBreaker({
      threshold: failureRatio,
      duration: windowMs,
      minimumRps: (minimumCalls * 1_000) / windowMs,
    });
  }

  get state(): unknown {
    return [this.#consecutive.state, this.#share.state];
  }

  set state(value: unknown) {
    [this.#consecutive.state, this.#share.state] = value as [number, unknown];
  }

  success(state: CircuitState): void {
    this.#consecutive.success();
    this.#share.success(state);
  }

  failure(state: CircuitState): boolean {
    const dead = this.#consecutive.failure();
    const sick = this.#share.failure(state);
    return dead || sick;
  }
}
