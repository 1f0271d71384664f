import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { statusCodes } from "../../service-error.ts";
import type { Arrival } from "../admission/admission.ts";
import { closeHalfOpen } from "../close-half-open.ts";
import type { ServedMethod } from "../method.ts";
import type { Gate } from "./gate.ts";
import { timeoutMs } from "./grpc-timeout.ts";

const timeoutHeader = "grpc-timeout";
const endStream = { endStream: true };
const noop = (): void => {};

/** A call of which no more than the headers has been read. */
export class GatedCall implements Arrival {
  readonly arrivedAt: number;
  private readonly gate: Gate;
  private readonly method: ServedMethod;
  private readonly stream: ServerHttp2Stream;
  private readonly headers: IncomingHttpHeaders;

  constructor(
    gate: Gate,
    method: ServedMethod,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    arrivedAt: number,
  ) {
    this.gate = gate;
    this.method = method;
    this.stream = stream;
    this.headers = headers;
    this.arrivedAt = arrivedAt;
    // A stream that breaks is its caller's affair.
    stream.on("error", noop);
  }

  isLate(now: number): boolean {
    if (this.stream.closed) return true;
    const waitedMs = now - this.arrivedAt;
    // Nearly all calls begin in the turn in which they came.
    return waitedMs >= 1 && this.remainingMs(waitedMs) < 1;
  }

  begin(now: number): void {
    const waitedMs = now - this.arrivedAt;
    if (waitedMs >= 1 && timeoutHeader in this.headers) {
      const remainingMs = this.remainingMs(waitedMs);
      // grpc-js counts from now.
      if (Number.isFinite(remainingMs))
        this.headers[timeoutHeader] = `${Math.min(99_999_999, Math.floor(remainingMs))}m`;
    }
    const { readableEnded } = this.stream;
    this.gate.serve(this.stream, this.headers, this.arrivedAt);
    // Of a request without a body, the end came while nobody listened.
    if (readableEnded) this.stream.emit("end");
  }

  refuse(): void {
    this.answer(statusCodes.RESOURCE_EXHAUSTED, this.gate.nextRefusal());
  }

  drop(): void {
    if (this.stream.closed) this.method.metrics.count(statusCodes.CANCELLED);
    else this.answer(statusCodes.DEADLINE_EXCEEDED, this.gate.tooLate);
  }

  private answer(code: number, headers: OutgoingHttpHeaders): void {
    const { stream, method } = this;
    method.metrics.count(code);
    if (stream.closed) return;
    stream.respond(headers, endStream);
    // What the caller still sends is dropped.
    stream.resume();
    if (method.descriptor.methodKind !== "unary") closeHalfOpen(stream);
  }

  private remainingMs(waitedMs: number): number {
    return (timeoutMs(this.headers[timeoutHeader]) ?? Number.POSITIVE_INFINITY) - waitedMs;
  }
}
