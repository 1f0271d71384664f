import type { PolicyService } from "../../../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import type { ResilienceObserver } from "../../resilience/circuit.ts";
import { cancelled, isInfrastructureFailure, UNSPECIFIED_REASON } from "../../resilience/failures.ts";
import { effectiveDeadline } from "../../resilience/resilience.ts";
import { RetryBudget } from "../../resilience/retry-budget.ts";
import { ServiceError } from "../../service-error.ts";
import type { ServiceClient } from "../service-client.ts";
import { Deadlines } from "./deadlines.ts";
import type { DecisionAnswer, DecisionClient, DecisionOptions, DecisionRequest } from "./decision.ts";
import { DecisionStream, type DecisionStreamListener } from "./decision-stream.ts";
import { Pending, type PendingOwner } from "./pending.ts";
import { takeQuestion } from "./question.ts";
import { PendingQueue } from "./queue.ts";

export interface BatchingOptions {
  /** Items of one frame. Default: 1,000. */
  readonly maxBatch?: number;
  /** Frames on their way below which the next is sent at once, however small. Default: 2. */
  readonly eagerFrames?: number;
  /** Longest that a question waits for company while frames are on their way, in milliseconds. Default: 2. */
  readonly maxDelayMs?: number;
  /** Items to have in flight; the server may grant fewer. Default: 10,000. */
  readonly maxInFlight?: number;
  /** Questions that may wait to be sent. Default: 10,000. */
  readonly maxQueued?: number;
  /** Size of a frame, in bytes, and of the largest question. Default: three quarters of 1 MiB. */
  readonly maxFrameBytes?: number;
  /**
   * Age at which a stream is replaced, in milliseconds. Default: 20,000, less than the grace that policy-service gives a
   * connection which it asks to close, so that no stream is cut off.
   */
  readonly maxStreamAgeMs?: number;
  /** Longest that opening a stream may take, the connection included, in milliseconds. Default: 250. */
  readonly openTimeoutMs?: number;
  /** Uids in a stream's table before it begins anew; at most 65,536, the default. */
  readonly maxTableUids?: number;
  /** How long before the caller's own deadline to answer, in milliseconds. Default: 0. */
  readonly reserveMs?: number;
  /** Questions sent again for each question, over time. Default: 0.1. */
  readonly retryRatio?: number;
  /** Times that one question is sent again. Default: 2. */
  readonly maxRetries?: number;
  readonly observer?: ResilienceObserver;
}

const firstReopenMs = 10;
const longestReopenMs = 1_000;

/**
 * Brings the questions of a whole process onto one EvaluateStream.
 *
 * A question that finds fewer than `eagerFrames` frames on their way leaves at once; otherwise it waits for an answer, for
 * a full frame, or for `maxDelayMs`, and leaves in the company of all that came meanwhile (Nagle's idea, RFC 896). So
 * without load nothing waits, and under load frames grow by themselves.
 */
export class BatchingClient implements DecisionClient, PendingOwner, DecisionStreamListener {
  readonly #client: ServiceClient<typeof PolicyService>;
  readonly #options: Required<Omit<BatchingOptions, "observer" | "maxTableUids">>;
  readonly #maxTableUids: number | undefined;
  readonly #observer: ResilienceObserver | undefined;
  readonly #budget: RetryBudget;
  readonly #deadlines = new Deadlines();
  readonly #queue = new PendingQueue();
  /** The stream that takes questions. */
  #current: DecisionStream | undefined;
  /** Those that only finish. */
  readonly #retired = new Set<DecisionStream>();
  #opening:
    | { readonly resolve: () => void; readonly reject: (error: ServiceError) => void; stream: DecisionStream }
    | undefined;
  #scheduled: NodeJS.Immediate | undefined;
  #delay: NodeJS.Timeout | undefined;
  #reopen: NodeJS.Timeout | undefined;
  #age: NodeJS.Timeout | undefined;
  #failedOpens = 0;
  #isClosed = false;

  constructor(client: ServiceClient<typeof PolicyService>, options: BatchingOptions = {}) {
    const { observer, maxTableUids, ...given } = options;
    this.#client = client;
    this.#observer = observer;
    this.#maxTableUids = maxTableUids;
    this.#options = {
      maxBatch: 1_000,
      eagerFrames: 2,
      maxDelayMs: 2,
      maxInFlight: 10_000,
      maxQueued: 10_000,
      maxFrameBytes: 786_432,
      maxStreamAgeMs: 20_000,
      openTimeoutMs: 250,
      reserveMs: 0,
      retryRatio: 0.1,
      maxRetries: 2,
      ...given,
    };
    // All that is in flight when a stream breaks may be asked once more.
    this.#budget = new RetryBudget(this.#options.retryRatio, this.#options.maxInFlight);
    client.resilience.circuit.onChange((state) => {
      if (state === "open") this.#suspend();
    });
  }

  evaluate(request: DecisionRequest, options: DecisionOptions = {}): Promise<DecisionAnswer> {
    return new Promise((resolve, reject) => {
      const { circuit } = this.#client.resilience;
      const { maxFrameBytes, maxQueued, reserveMs } = this.#options;
      const { signal } = options;
      if (this.#isClosed || signal?.aborted) throw cancelled();
      const now = Date.now();
      const deadline = effectiveDeadline(now, circuit.deadlineMs, options.deadline, reserveMs);
      if (deadline.at <= now) throw circuit.late(deadline.isCallers);
      const refusal = circuit.refusal();
      if (refusal !== undefined) throw refusal;
      const question = takeQuestion(request, maxFrameBytes);
      if (this.#queue.waiting >= maxQueued) {
        throw circuit.unavailable("overflow", `Too many questions to ${circuit.target} are waiting.`);
      }
      const pending = new Pending(this, question, deadline, signal, resolve, reject);
      this.#deadlines.add(pending);
      this.#budget.deposit();
      this.#queue.push(pending);
      if (this.#delay === undefined || this.#queue.waiting >= this.#options.maxBatch) this.#schedule();
    });
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const timer of [this.#delay, this.#reopen, this.#age]) clearTimeout(timer);
    clearImmediate(this.#scheduled);
    for (const pending of this.#queue.takeAll()) pending.fail(cancelled());
    for (const stream of this.#streams()) stream.cancel(cancelled());
    this.#deadlines.clear();
    this.#client.close();
  }

  // PendingOwner

  expired(pending: Pending): void {
    const { circuit } = this.#client.resilience;
    const { frame } = pending;
    pending.fail(circuit.late(pending.isCallersDeadline));
    // One late frame is one failure, however many it holds; and a caller in a hurry says nothing about the target.
    if (frame === undefined || frame.open === 0 || frame.isLate) return;
    if (pending.deadline - frame.sentAt < circuit.deadlineMs / 2) return;
    frame.isLate = true;
    circuit.record(new ServiceError("DEADLINE_EXCEEDED", "No answer in time.", { reason: "DEADLINE_EXCEEDED" }));
  }

  cancelled(pending: Pending): void {
    pending.fail(cancelled());
  }

  settled(pending: Pending): void {
    this.#deadlines.remove(pending);
    if (pending.isQueued) this.#queue.settle(pending);
  }

  // DecisionStreamListener

  opened(stream: DecisionStream): void {
    if (this.#opening?.stream === stream) this.#opening.resolve();
  }

  answered(): void {
    this.#failedOpens = 0;
    this.#client.resilience.circuit.record();
    if (this.#queue.waiting > 0) this.#schedule();
  }

  writable(): void {
    if (this.#queue.waiting > 0) this.#schedule();
  }

  draining(stream: DecisionStream): void {
    this.#retire(stream);
    if (this.#queue.waiting > 0) this.#schedule();
  }

  closed(stream: DecisionStream, error: ServiceError | undefined, unanswered: readonly Pending[]): void {
    const wasAnnounced = this.#retired.delete(stream) || error?.reason === "STREAM_IDLE";
    if (this.#current === stream) {
      this.#current = undefined;
      clearTimeout(this.#age);
    }
    const failure = error ?? new ServiceError("UNAVAILABLE", "The stream ended.", { reason: UNSPECIFIED_REASON });
    if (this.#opening?.stream === stream) this.#opening.reject(failure);
    if (unanswered.length > 0) {
      if (!wasAnnounced && isInfrastructureFailure(failure)) this.#client.resilience.circuit.record(failure);
      if (wasAnnounced || isBroken(failure)) this.#askAgain(unanswered, failure);
      else for (const pending of unanswered) pending.fail(failure);
    }
    if (this.#queue.waiting > 0) this.#schedule();
  }

  /** Evaluations are free of side effects: what a broken stream left is asked again, as far as the budget goes. */
  #askAgain(unanswered: readonly Pending[], error: ServiceError): void {
    const { circuit } = this.#client.resilience;
    const again: Pending[] = [];
    for (const pending of unanswered) {
      if (pending.isSettled) continue;
      pending.frame = undefined;
      const mayRetry =
        circuit.state === "closed" && pending.attempts <= this.#options.maxRetries && this.#budget.withdraw();
      if (mayRetry && !this.#isClosed) again.push(pending);
      else pending.fail(this.#isClosed ? cancelled() : circuit.unreachable(unavailableFrom(error)));
    }
    if (again.length === 0) return;
    this.#observer?.retried?.(circuit.target, again.length);
    this.#queue.unshift(again);
  }

  #schedule(): void {
    if (this.#isClosed) return;
    // After the events at hand, whose handlers may ask too.
    this.#scheduled ??= setImmediate(() => {
      this.#scheduled = undefined;
      this.#flush(false);
    });
  }

  #flush(isOverdue: boolean): void {
    const { maxBatch, eagerFrames, maxFrameBytes, maxDelayMs } = this.#options;
    const queue = this.#queue;
    if (queue.waiting === 0) return;
    const stream = this.#current;
    if (stream === undefined) {
      this.#open();
      return;
    }
    while (queue.waiting > 0 && stream.isWritable && stream.room > 0) {
      if (!isOverdue && stream.frames >= eagerFrames && queue.waiting < maxBatch) break;
      stream.ask(queue.take(Math.min(maxBatch, stream.room), maxFrameBytes));
    }
    if (queue.waiting === 0 || this.#delay !== undefined) return;
    this.#delay = setTimeout(() => {
      this.#delay = undefined;
      this.#flush(true);
    }, maxDelayMs);
  }

  #open(): void {
    if (this.#opening !== undefined || this.#reopen !== undefined || this.#isClosed) return;
    const { circuit } = this.#client.resilience;
    // A stream that opens proves a target that was cut off to be back, but not one in use to be well.
    const stream = circuit.state === "closed" ? this.#openStream() : circuit.run(() => this.#openStream());
    stream.then(
      (opened) => this.#adopt(opened),
      (error: ServiceError) => this.#openFailed(error),
    );
  }

  #openStream(): Promise<DecisionStream> {
    return new Promise((resolve, reject) => {
      const { maxInFlight, openTimeoutMs } = this.#options;
      const stream = new DecisionStream(this.#client.evaluateStream(), this, maxInFlight, this.#maxTableUids);
      const timer = setTimeout(() => {
        stream.cancel(new ServiceError("DEADLINE_EXCEEDED", "No stream in time.", { reason: "DEADLINE_EXCEEDED" }));
      }, openTimeoutMs);
      const done = (): void => {
        clearTimeout(timer);
        this.#opening = undefined;
      };
      this.#opening = {
        stream,
        resolve: () => {
          done();
          resolve(stream);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      };
    });
  }

  #adopt(stream: DecisionStream): void {
    if (this.#isClosed) {
      stream.cancel(cancelled());
      return;
    }
    if (!stream.isOpen) {
      this.#openFailed(new ServiceError("UNAVAILABLE", "The stream ended.", { reason: UNSPECIFIED_REASON }));
      return;
    }
    this.#current = stream;
    this.#age = setTimeout(() => this.#retire(stream), this.#options.maxStreamAgeMs * (0.9 + Math.random() * 0.2));
    this.#age.unref();
    this.#flush(false);
  }

  #openFailed(error: ServiceError): void {
    if (this.#isClosed) return;
    const { circuit } = this.#client.resilience;
    // What waits may still be answered by the next stream, unless the server does not want it.
    if (!isInfrastructureFailure(error)) for (const pending of this.#queue.takeAll()) pending.fail(error);
    else if (circuit.state === "closed") circuit.record(error);
    else this.#suspend();
    const longest = Math.min(longestReopenMs, firstReopenMs * 2 ** Math.min(this.#failedOpens, 16));
    this.#failedOpens += 1;
    this.#reopen = setTimeout(
      () => {
        this.#reopen = undefined;
        this.#flush(false);
      },
      longest * (0.5 + Math.random() / 2),
    );
  }

  /** The circuit has opened: nobody waits for what will not be asked, and the next stream is a new one. */
  #suspend(): void {
    const { circuit } = this.#client.resilience;
    for (const pending of this.#queue.takeAll()) {
      pending.fail(circuit.refusal() ?? circuit.unavailable("open", `${circuit.target} is not answering.`));
    }
    const stream = this.#current;
    if (stream !== undefined) {
      this.#current = undefined;
      stream.cancel(new ServiceError("UNAVAILABLE", "The circuit is open.", { reason: UNSPECIFIED_REASON }));
    }
  }

  #retire(stream: DecisionStream): void {
    if (this.#current === stream) {
      this.#current = undefined;
      clearTimeout(this.#age);
    }
    this.#retired.add(stream);
    stream.retire();
    const { deadlineMs } = this.#client.resilience.circuit;
    // By then every question in it is over; a server that does not end it would keep it for ever.
    setTimeout(() => stream.cancel(cancelled()), deadlineMs + 1_000).unref();
  }

  #streams(): DecisionStream[] {
    const streams = [...this.#retired];
    if (this.#current !== undefined) streams.push(this.#current);
    if (this.#opening !== undefined) streams.push(this.#opening.stream);
    return streams;
  }
}

/** Whether a stream broke, rather than that it was refused. A proxy that gives up on it says CANCELLED. */
function isBroken(error: ServiceError): boolean {
  return isInfrastructureFailure(error) || (error.code === "CANCELLED" && error.reason === UNSPECIFIED_REASON);
}

/** A broken transport speaks in several codes; to a caller they all mean that there is no answer now. */
function unavailableFrom(error: ServiceError): ServiceError {
  if (error.code === "UNAVAILABLE") return error;
  return new ServiceError("UNAVAILABLE", error.message, { reason: error.reason, cause: error });
}
