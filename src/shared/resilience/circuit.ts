import {
  BrokenCircuitError,
  type CircuitBreakerPolicy,
  CircuitState,
  circuitBreaker,
  handleWhen,
  TaskCancelledError,
} from "cockatiel";
import { ServiceError } from "../service-error.ts";
import { type BreakerThresholds, ThresholdBreaker } from "./breaker.ts";
import { InconclusiveError, isInfrastructureFailure } from "./failures.ts";

export type BreakerState = "closed" | "open" | "half-open";

/** Why a call was not answered by the target. */
export type RejectionCause = "open" | "overflow" | "timeout" | "connection";

/** What a target's policies tell the metrics. Called synchronously; must not throw. */
export interface ResilienceObserver {
  breakerState?(target: string, state: BreakerState): void;
  /** `calls` are sent once more. */
  retried?(target: string, calls: number): void;
  rejected?(target: string, cause: RejectionCause): void;
}

export interface CircuitOptions {
  /** Names the target in metrics and errors, for example `policy-service`. */
  readonly target: string;
  /** Time given to a call, its retries included, in milliseconds; a caller's deadline can only shorten it. Default: 100. */
  readonly deadlineMs?: number;
  /** Reason of the UNAVAILABLE error when the target is down, slow or cut off. Default: `TARGET_UNAVAILABLE`. */
  readonly unavailableReason?: string;
  readonly breaker?: BreakerThresholds;
  /** How long an open circuit stays open before one call may try the target, in milliseconds. Default: 1,000. */
  readonly recoveryMs?: number;
  readonly observer?: ResilienceObserver;
}

/** A target's circuit breaker, and the errors that callers are told when it does not answer. */
export interface Circuit {
  readonly target: string;
  readonly deadlineMs: number;
  readonly state: BreakerState;
  /** The error for a call that the circuit refuses now, or undefined when it may be tried. */
  refusal(): ServiceError | undefined;
  /**
   * Runs a call whose outcome tells of the target's health.
   *
   * @throws ServiceError from `refusal` when the circuit is open, or half-open with its probe under way.
   */
  run<T>(call: () => Promise<T>): Promise<T>;
  /** Counts an outcome that was seen elsewhere: a failure, or a success. */
  record(failure?: ServiceError): void;
  /** Is told of every change of state. */
  onChange(listener: (state: BreakerState) => void): void;
  /** UNAVAILABLE, for callers. */
  unavailable(cause: RejectionCause, message: string, retryAfterMs?: number, error?: ServiceError): ServiceError;
  /** The error of a call whose time is over: DEADLINE_EXCEEDED when its caller set the time, otherwise UNAVAILABLE. */
  late(isCallersDeadline: boolean): ServiceError;
  /** The error of a call that did not reach the target, or was refused by it: UNAVAILABLE always tells when to retry. */
  unreachable(error: ServiceError): ServiceError;
}

const stateNames: Readonly<Record<CircuitState, BreakerState>> = {
  [CircuitState.Closed]: "closed",
  [CircuitState.Open]: "open",
  [CircuitState.HalfOpen]: "half-open",
  [CircuitState.Isolated]: "open",
};

export function createCircuit(options: CircuitOptions): Circuit {
  const { target, observer, deadlineMs = 100, recoveryMs = 1_000, unavailableReason = "TARGET_UNAVAILABLE" } = options;
  const listeners: ((state: BreakerState) => void)[] = [];
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
    observer?.breakerState?.(target, stateNames[state]);
    for (const listener of listeners) listener(stateNames[state]);
  });
  observer?.breakerState?.(target, "closed");

  function unavailable(
    cause: RejectionCause,
    message: string,
    retryAfterMs = deadlineMs,
    error?: ServiceError,
  ): ServiceError {
    observer?.rejected?.(target, cause);
    const metadata = { target, cause };
    return new ServiceError("UNAVAILABLE", message, {
      reason: unavailableReason,
      retryAfterMs,
      metadata,
      cause: error,
    });
  }

  function suspended(): ServiceError {
    // Half-open: the probe's outcome is known within a call's deadline.
    const wait = breaker.state === CircuitState.Open ? openUntil - Date.now() : deadlineMs;
    return unavailable("open", `${target} is not answering; calls to it are suspended.`, Math.max(1, wait));
  }

  return {
    target,
    deadlineMs,
    get state() {
      return stateNames[breaker.state];
    },
    refusal() {
      if (breaker.state === CircuitState.Closed) return undefined;
      if (breaker.state === CircuitState.Open && Date.now() >= openUntil) return undefined;
      return suspended();
    },
    async run(call) {
      // One probe at a time; cockatiel would let the others wait for its verdict, beyond their deadlines.
      if (breaker.state === CircuitState.HalfOpen) throw suspended();
      try {
        return await breaker.execute(call);
      } catch (error) {
        if (error instanceof BrokenCircuitError || error instanceof TaskCancelledError) throw suspended();
        throw error;
      }
    },
    record(failure) {
      // Only what happens while the circuit is closed counts; a straggler is no probe.
      if (breaker.state !== CircuitState.Closed) return;
      breaker.execute(() => (failure === undefined ? undefined : Promise.reject(failure))).catch(() => {});
    },
    onChange: (listener) => void listeners.push(listener),
    unavailable,
    late(isCallersDeadline) {
      if (!isCallersDeadline) return unavailable("timeout", `${target} did not answer within ${deadlineMs} ms.`);
      return new ServiceError("DEADLINE_EXCEEDED", "The deadline has passed.", { reason: "DEADLINE_EXCEEDED" });
    },
    unreachable(error) {
      if (error.code !== "UNAVAILABLE" || error.retryAfterMs !== undefined) return error;
      return unavailable("connection", `${target} cannot be reached.`, deadlineMs, error);
    },
  };
}
