import {
  BrokenCircuitError,
  BulkheadRejectedError,
  bulkhead,
  type CircuitBreakerPolicy,
  CircuitState,
  circuitBreaker,
  decorrelatedJitterGenerator,
  ExponentialBackoff,
  handleType,
  handleWhen,
  retry,
} from "cockatiel";
import { ServiceError } from "../service-error.ts";
import { type BreakerThresholds, ThresholdBreaker } from "./breaker.ts";
import { isInfrastructureFailure } from "./failures.ts";
import { RetryBudget } from "./retry-budget.ts";

export type BreakerState = "closed" | "open" | "half-open";

/** What a target's policies tell the metrics. Called synchronously; must not throw. */
export interface ResilienceObserver {
  breakerState(target: string, state: BreakerState): void;
  retried?(target: string): void;
  rejected?(target: string, cause: "open" | "overflow" | "timeout"): void;
}

export interface ResilienceOptions {
  /** Names the target in metrics and errors, for example `policy-service`. */
  readonly target: string;
  /** Time given to a call, its retries included, in milliseconds; a caller's deadline can only shorten it. Default: 100. */
  readonly deadlineMs?: number;
  /** How long before the caller's own deadline to answer, so that it can still pass the answer on, in ms. Default: 0. */
  readonly reserveMs?: number;
  /** Reason of the UNAVAILABLE error when the target is down, slow or cut off. Default: `TARGET_UNAVAILABLE`. */
  readonly unavailableReason?: string;
  readonly breaker?: BreakerThresholds;
  /** How long an open circuit stays open before one call may try the target, in milliseconds. Default: 1,000. */
  readonly recoveryMs?: number;
  /** Retries of one idempotent call after UNAVAILABLE; 0 turns them off. Default: 2. */
  readonly maxRetries?: number;
  /** Retries for each call over time, 0 to 1. Default: 0.1. */
  readonly retryRatio?: number;
  /** Most calls at the target at once. Default: 1,000. */
  readonly maxConcurrent?: number;
  /** Most calls waiting for one of those places. Default: 1,000. */
  readonly maxQueued?: number;
  readonly observer?: ResilienceObserver;
}

export interface CallBounds {
  /** When the caller stops waiting, in milliseconds since the epoch. */
  readonly deadline?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Whether the call may be sent again. */
  readonly idempotent: boolean;
}

/** Guards every call to one target. */
export interface Resilience {
  readonly target: string;
  readonly breakerState: BreakerState;
  /**
   * Runs `attempt`, perhaps more than once, and settles by the deadline.
   *
   * `attempt` gets its deadline (milliseconds since the epoch), must settle by then, and rejects with ServiceError.
   *
   * @throws ServiceError UNAVAILABLE with `unavailableReason` and a retry delay when the target is down, slow, cut off or
   *   its places are taken; DEADLINE_EXCEEDED when the caller's own deadline passed; CANCELLED; or what the target said.
   */
  execute<T>(attempt: (deadline: number) => Promise<T>, bounds: CallBounds): Promise<T>;
  /** The error for a call that the open circuit refuses, or undefined when it may be tried. */
  refusal(): ServiceError | undefined;
}

function cancelled(): ServiceError {
  return new ServiceError("CANCELLED", "The call was cancelled.", { reason: "CANCELLED" });
}

/** Settles as `outcome` does, but by the deadline and the signal: the bulkhead's queue minds neither. */
function settleBy<T>(
  outcome: Promise<T>,
  deadline: number,
  signal: AbortSignal | undefined,
  late: () => ServiceError,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), deadline - Date.now());
    const onAbort = (): void => reject(cancelled());
    signal?.addEventListener("abort", onAbort, { once: true });
    outcome.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    });
  });
}

/** Asks the retry policy for another attempt. */
class RetryRequest extends Error {}

/** A failure that says nothing about the target: the caller left, or was in too great a hurry. */
class InconclusiveError extends Error {}

const retryInitialDelayMs = 5;
const retryMaxDelayMs = 25;

const breakerStates: Readonly<Record<CircuitState, BreakerState>> = {
  [CircuitState.Closed]: "closed",
  [CircuitState.Open]: "open",
  [CircuitState.HalfOpen]: "half-open",
  [CircuitState.Isolated]: "open",
};

/**
 * Builds the policies of one target: retry inside circuit breaker inside bulkhead.
 *
 * The innermost timeout is the deadline that each attempt hands to gRPC, which also travels to the server and stops the
 * work there; a second timer for it would only cost.
 */
export function createResilience(options: ResilienceOptions): Resilience {
  const { target, observer, deadlineMs = 100, reserveMs = 0, recoveryMs = 1_000, maxRetries = 2 } = options;
  const reason = options.unavailableReason ?? "TARGET_UNAVAILABLE";
  const budget = new RetryBudget(options.retryRatio);
  const places = bulkhead(options.maxConcurrent ?? 1_000, options.maxQueued ?? 1_000);
  const again = retry(handleType(RetryRequest), {
    maxAttempts: maxRetries,
    backoff: new ExponentialBackoff({
      initialDelay: retryInitialDelayMs,
      maxDelay: retryMaxDelayMs,
      generator: decorrelatedJitterGenerator,
    }),
  });
  let openUntil = 0;
  const breaker: CircuitBreakerPolicy = circuitBreaker(
    // A probe that ends without a verdict leaves the circuit open: nothing is known yet.
    handleWhen(
      (error) =>
        isInfrastructureFailure(error) ||
        (error instanceof InconclusiveError && breaker.state === CircuitState.HalfOpen),
    ),
    { breaker: new ThresholdBreaker(options.breaker), halfOpenAfter: recoveryMs },
  );
  breaker.onStateChange((state) => {
    if (state === CircuitState.Open) openUntil = Date.now() + recoveryMs;
    observer?.breakerState(target, breakerStates[state]);
  });
  observer?.breakerState(target, "closed");

  function unavailable(cause: "open" | "overflow" | "timeout", message: string, retryAfterMs: number): ServiceError {
    observer?.rejected?.(target, cause);
    return new ServiceError("UNAVAILABLE", message, { reason, retryAfterMs, metadata: { target, cause } });
  }

  function openError(): ServiceError {
    // Half-open: the probe's outcome is known within a call's deadline.
    const wait = breaker.state === CircuitState.Open ? openUntil - Date.now() : deadlineMs;
    return unavailable("open", `${target} is not answering; calls to it are suspended.`, Math.max(1, wait));
  }

  function refusal(): ServiceError | undefined {
    if (breaker.state === CircuitState.Closed) return undefined;
    if (breaker.state === CircuitState.Open && Date.now() >= openUntil) return undefined;
    return openError();
  }

  function late(isCallers: boolean): ServiceError {
    if (isCallers)
      return new ServiceError("DEADLINE_EXCEEDED", "The deadline has passed.", { reason: "DEADLINE_EXCEEDED" });
    return unavailable("timeout", `${target} did not answer within ${deadlineMs} ms.`, deadlineMs);
  }

  /** Turns what a policy threw into what the caller is told. */
  function tell(error: unknown, isCallersDeadline: boolean): unknown {
    const cause = error instanceof InconclusiveError ? error.cause : error;
    if (cause instanceof BrokenCircuitError) return openError();
    if (cause instanceof BulkheadRejectedError) {
      return unavailable("overflow", `Too many calls to ${target} are waiting.`, deadlineMs);
    }
    if (!(cause instanceof ServiceError)) return cause;
    if (cause.code === "DEADLINE_EXCEEDED") return late(isCallersDeadline);
    if (cause.code !== "UNAVAILABLE" || cause.retryAfterMs !== undefined) return cause;
    return new ServiceError("UNAVAILABLE", `${target} cannot be reached.`, {
      reason,
      retryAfterMs: deadlineMs,
      metadata: { target, cause: "connection" },
      cause,
    });
  }

  async function execute<T>(attempt: (deadline: number) => Promise<T>, bounds: CallBounds): Promise<T> {
    const { signal, idempotent } = bounds;
    const start = Date.now();
    const callers = bounds.deadline === undefined ? Number.POSITIVE_INFINITY : bounds.deadline - reserveMs;
    const isCallersDeadline = callers < start + deadlineMs;
    const deadline = isCallersDeadline ? callers : start + deadlineMs;
    if (deadline <= start) throw late(isCallersDeadline);
    const refused = refusal();
    if (refused !== undefined) throw refused;
    budget.deposit();

    async function once(attemptNumber: number): Promise<T> {
      if (signal?.aborted) throw new InconclusiveError("cancelled", { cause: cancelled() });
      const timeGiven = deadline - Date.now();
      if (timeGiven <= 0) throw new InconclusiveError("late", { cause: late(isCallersDeadline) });
      try {
        return await attempt(deadline);
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        if (signal?.aborted || error.code === "CANCELLED") throw new InconclusiveError("cancelled", { cause: error });
        if (error.code === "DEADLINE_EXCEEDED" && timeGiven < deadlineMs / 2) {
          throw new InconclusiveError("hasty", { cause: error });
        }
        const mayRetry =
          idempotent &&
          error.code === "UNAVAILABLE" &&
          error.retryAfterMs === undefined &&
          attemptNumber < maxRetries &&
          deadline - Date.now() > retryMaxDelayMs;
        if (!mayRetry || !budget.withdraw()) throw error;
        observer?.retried?.(target);
        throw new RetryRequest(error.message, { cause: error });
      }
    }

    const admitted = (): Promise<T> => {
      if (signal?.aborted) throw cancelled();
      if (deadline <= Date.now()) throw late(isCallersDeadline);
      // One probe at a time; cockatiel would let the others wait for its verdict, beyond their deadlines.
      if (breaker.state === CircuitState.HalfOpen) throw new BrokenCircuitError();
      return breaker.execute(() =>
        idempotent && maxRetries > 0 ? again.execute(({ attempt: number }) => once(number)) : once(0),
      );
    };

    try {
      const mustQueue = places.executionSlots === 0;
      const outcome = places.execute(admitted);
      return await (mustQueue ? settleBy(outcome, deadline, signal, () => late(isCallersDeadline)) : outcome);
    } catch (error) {
      throw tell(error, isCallersDeadline);
    }
  }

  return {
    target,
    execute,
    refusal,
    get breakerState() {
      return breakerStates[breaker.state];
    },
  };
}
