import {
  BulkheadRejectedError,
  bulkhead,
  decorrelatedJitterGenerator,
  ExponentialBackoff,
  handleType,
  retry,
} from "cockatiel";
import { ServiceError } from "../service-error.ts";
import { AdaptiveLimit } from "./adaptive-limit.ts";
import { type Circuit, type CircuitOptions, createCircuit } from "./circuit.ts";
import { cancelled, InconclusiveError, isOverload, OVERLOADED_REASON } from "./failures.ts";
import { RetryBudget } from "./retry-budget.ts";

export interface ResilienceOptions extends CircuitOptions {
  /** How long before the caller's own deadline to answer, so that it can still pass the answer on, in ms. Default: 0. */
  readonly reserveMs?: number;
  /** Retries of one idempotent call after UNAVAILABLE; 0 turns them off. Default: 2. */
  readonly maxRetries?: number;
  /** Retries for each call over time, 0 to 1. Default: 0.1. */
  readonly retryRatio?: number;
  /** Most calls at the target at once. Default: 1,000. */
  readonly maxConcurrent?: number;
  /** Most calls waiting for one of those places. Default: 1,000. */
  readonly maxQueued?: number;
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
  readonly circuit: Circuit;
  /**
   * Runs `attempt`, perhaps more than once, and settles by the deadline.
   *
   * `attempt` gets its deadline (milliseconds since the epoch), must settle by then, and rejects with ServiceError.
   *
   * @throws ServiceError UNAVAILABLE with `unavailableReason` and a retry delay when the target is down, slow, cut off or
   *   its places are taken; RESOURCE_EXHAUSTED when it is overloaded; DEADLINE_EXCEEDED when the caller's own deadline passed; CANCELLED; or what the target said.
   */
  execute<T>(attempt: (deadline: number) => Promise<T>, bounds: CallBounds): Promise<T>;
}

/** When a call must be answered. */
export interface EffectiveDeadline {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Whether the caller set it, rather than the client's own limit. */
  readonly isCallers: boolean;
}

/** The earlier of the caller's deadline, less the reserve, and the client's own. */
export function effectiveDeadline(
  now: number,
  deadlineMs: number,
  callers: number | undefined,
  reserveMs: number,
): EffectiveDeadline {
  const own = now + deadlineMs;
  if (callers === undefined || callers - reserveMs >= own) return { at: own, isCallers: false };
  return { at: callers - reserveMs, isCallers: true };
}

/** Settles as `outcome` does, but by the deadline and the signal: the bulkhead's queue minds neither. */
function settleBy<T>(
  outcome: Promise<T>,
  deadline: number,
  signal: AbortSignal | undefined,
  late: () => ServiceError,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => settle(() => reject(cancelled()));
    const timer = setTimeout(() => settle(() => reject(late())), Math.max(0, deadline - Date.now()));
    function settle(how: () => void): void {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      how();
    }
    signal?.addEventListener("abort", onAbort, { once: true });
    outcome.then(
      (value) => settle(() => resolve(value)),
      (error) => settle(() => reject(error)),
    );
  });
}

/** Asks the retry policy for another attempt. */
class RetryRequest extends Error {}

const retryInitialDelayMs = 5;
const retryMaxDelayMs = 25;

/**
 * Builds the policies of one target: retry inside circuit breaker inside bulkhead.
 *
 * The innermost timeout is the deadline that each attempt hands to gRPC: it also travels to the server and stops the
 * work there. cockatiel's timeout could do neither, and costs seven times all other policies together.
 */
export function createResilience(options: ResilienceOptions): Resilience {
  const { target, observer, reserveMs = 0, maxRetries = 2 } = options;
  const circuit = createCircuit(options);
  const { deadlineMs } = circuit;
  const budget = new RetryBudget(options.retryRatio);
  const places = bulkhead(options.maxConcurrent ?? 1_000, options.maxQueued ?? 1_000);
  // Not in the way of anything until the target says that it is overloaded.
  const limit = new AdaptiveLimit(Number.POSITIVE_INFINITY);
  const again = retry(handleType(RetryRequest), {
    maxAttempts: maxRetries,
    backoff: new ExponentialBackoff({
      initialDelay: retryInitialDelayMs,
      maxDelay: retryMaxDelayMs,
      generator: decorrelatedJitterGenerator,
    }),
  });

  /** Whether another attempt may follow this failure; takes its token. */
  function mayRetry(error: ServiceError, attemptNumber: number, deadline: number): boolean {
    return (
      error.code === "UNAVAILABLE" &&
      // A server that names a delay does not want to be asked within this call.
      error.retryAfterMs === undefined &&
      attemptNumber < maxRetries &&
      deadline - Date.now() > retryMaxDelayMs &&
      budget.withdraw()
    );
  }

  /** The error for a call that is not sent, as the target refuses such as it has. */
  function overloaded(): ServiceError {
    observer?.rejected?.(target, "overflow");
    const message = `${target} is overloaded.`;
    return new ServiceError("RESOURCE_EXHAUSTED", message, { reason: OVERLOADED_REASON, retryAfterMs: deadlineMs });
  }

  async function execute<T>(attempt: (deadline: number) => Promise<T>, bounds: CallBounds): Promise<T> {
    const { signal, idempotent } = bounds;
    const start = Date.now();
    const { at: deadline, isCallers } = effectiveDeadline(start, deadlineMs, bounds.deadline, reserveMs);
    if (deadline <= start) throw circuit.late(isCallers);
    const refused = circuit.refusal();
    if (refused !== undefined) throw refused;
    if (!limit.enter(start)) throw overloaded();
    budget.deposit();

    async function once(attemptNumber: number): Promise<T> {
      if (signal?.aborted) throw new InconclusiveError(cancelled());
      const timeGiven = deadline - Date.now();
      if (timeGiven <= 0) throw new InconclusiveError(circuit.late(isCallers));
      const sentAt = Date.now();
      try {
        const answer = await attempt(deadline);
        limit.recordAccepted();
        return answer;
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        if (isOverload(error)) limit.recordRefused(sentAt, Date.now());
        const hasty = error.code === "DEADLINE_EXCEEDED" && timeGiven < deadlineMs / 2;
        if (hasty || signal?.aborted || error.code === "CANCELLED") throw new InconclusiveError(error);
        if (!idempotent || !mayRetry(error, attemptNumber, deadline)) throw error;
        observer?.retried?.(target, 1);
        throw new RetryRequest(error.message, { cause: error });
      }
    }

    const admitted = (): Promise<T> => {
      if (signal?.aborted) throw cancelled();
      if (deadline <= Date.now()) throw circuit.late(isCallers);
      return circuit.run(() =>
        idempotent && maxRetries > 0 ? again.execute(({ attempt: number }) => once(number)) : once(0),
      );
    };

    try {
      const mustQueue = places.executionSlots === 0;
      const outcome = places.execute(admitted);
      return await (mustQueue ? settleBy(outcome, deadline, signal, () => circuit.late(isCallers)) : outcome);
    } catch (thrown) {
      const error = thrown instanceof InconclusiveError ? thrown.cause : thrown;
      if (error instanceof BulkheadRejectedError) {
        throw circuit.unavailable("overflow", `Too many calls to ${target} are waiting.`);
      }
      if (!(error instanceof ServiceError)) throw error;
      if (error.code === "DEADLINE_EXCEEDED") throw circuit.late(isCallers);
      throw circuit.unreachable(error);
    } finally {
      limit.leave();
    }
  }

  return { circuit, execute };
}
