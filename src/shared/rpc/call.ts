import type { Logger } from "pino";
import { type ServiceError, statusCodes } from "../service-error.ts";
import type { Tracer } from "../tracing/tracer.ts";
import type { Admission } from "./admission/admission.ts";
import type { CallContext } from "./handler.ts";
import type { HostLimits } from "./limits.ts";
import type { ServedMethod } from "./method.ts";
import { logCall } from "./steps/access-log.ts";
import { deadlineExceeded } from "./steps/deadline.ts";
import { requestIdFrom, traceparentFrom, wellFormedParent } from "./steps/trace.ts";

/** What all calls of a host share. */
export interface CallEnvironment {
  readonly logger: Logger;
  readonly limits: HostLimits;
  readonly admission: Admission;
  readonly draining: AbortSignal;
  /** Records traces; undefined when there is no one to tell. */
  readonly tracer: Tracer | undefined;
}

/** setTimeout fires at once beyond this. */
const longestTimerMs = 2 ** 31 - 1;

function failLate(call: Call): void {
  call.fail(deadlineExceeded());
}

/**
 * One call, whichever door it came through. The doors extend it with what they know of the caller.
 *
 * What costs something and is seldom asked for (the signal, the logger, the ids) is made when it is first asked for.
 */
export abstract class Call implements CallContext {
  readonly served: ServedMethod;
  readonly environment: CallEnvironment;
  deadline: number | undefined = undefined;
  /** Whether the call's outcome is settled; nothing is sent after that. */
  finished = false;
  private readonly arrivedAt: number;
  private inFlight = false;
  private aborted = false;
  private timer: NodeJS.Timeout | undefined = undefined;
  private controller: AbortController | undefined = undefined;
  private requestIdValue: string | undefined = undefined;
  private traceparentValue: string | undefined = undefined;
  private loggerValue: Logger | undefined = undefined;

  /** @param arrivedAt When it came, by `performance.now()`. */
  constructor(served: ServedMethod, environment: CallEnvironment, arrivedAt: number) {
    this.served = served;
    this.environment = environment;
    this.arrivedAt = arrivedAt;
  }

  abstract get peerAddress(): string;
  abstract get peerPrincipal(): string | undefined;
  abstract header(name: string): string | undefined;
  /** Answers with an error, unless the call is settled. */
  abstract fail(error: unknown): void;

  get method(): string {
    return this.served.name;
  }

  get draining(): AbortSignal {
    return this.environment.draining;
  }

  get requestId(): string {
    this.requestIdValue ??= requestIdFrom(this.header("x-request-id"));
    return this.requestIdValue;
  }

  get traceparent(): string {
    if (this.traceparentValue === undefined) {
      const header = this.header("traceparent");
      const own = traceparentFrom(header);
      this.traceparentValue = this.environment.tracer?.sample(own, wellFormedParent(header) !== undefined) ?? own;
    }
    return this.traceparentValue;
  }

  get logger(): Logger {
    this.loggerValue ??= this.environment.logger.child({
      requestId: this.requestId,
      traceId: this.traceparent.slice(3, 35),
    });
    return this.loggerValue;
  }

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      if (this.aborted) this.controller.abort();
    }
    return this.controller.signal;
  }

  /** Fails the call once its deadline has passed. Not needed when it is answered at once, nor after the door has a timer. */
  startDeadlineTimer(): void {
    if (this.deadline === undefined || this.finished) return;
    const remainingMs = this.deadline - Date.now();
    if (remainingMs <= longestTimerMs) this.timer = setTimeout(failLate, remainingMs, this);
  }

  /** Counts a unary call among those that are worked on, until it is settled. */
  protected enter(): void {
    const { essential, descriptor } = this.served;
    if (essential || descriptor.methodKind !== "unary") return;
    this.inFlight = true;
    this.environment.admission.enter();
  }

  /** Fails a call that came too late to be worked on. */
  expire(): void {
    this.environment.admission.expired += 1;
    this.fail(deadlineExceeded());
  }

  /** Settles the outcome: counts and logs it, and aborts what still works for a call that failed. False if it was settled. */
  protected settle(error: ServiceError | undefined): boolean {
    if (this.finished) return false;
    this.finished = true;
    if (this.timer !== undefined) clearTimeout(this.timer);
    if (this.inFlight) this.environment.admission.leave();
    const durationMs = performance.now() - this.arrivedAt;
    this.served.metrics.record(error === undefined ? 0 : statusCodes[error.code], durationMs);
    logCall(this.environment.logger, this, durationMs, error);
    const { tracer } = this.environment;
    // Health checks and reflection would be most of what there is.
    if (tracer !== undefined && !this.method.startsWith("grpc.")) this.trace(tracer, error);
    if (error !== undefined) {
      this.aborted = true;
      this.controller?.abort();
    }
    return true;
  }

  private trace(tracer: Tracer, error: ServiceError | undefined): void {
    tracer.served(this.traceparent, () => ({
      parent: wellFormedParent(this.header("traceparent")),
      name: this.method,
      startedAt: this.arrivedAt,
      attributes: { "gatehouse.request_id": this.requestId },
      failure: error && { code: error.code, reason: error.reason },
    }));
  }
}
