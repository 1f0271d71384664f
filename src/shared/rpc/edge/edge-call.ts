import type { Message } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import type { ConnectError, HandlerContext } from "@connectrpc/connect";
import { invalidArgument } from "../../service-error.ts";
import { overloaded } from "../admission/overloaded.ts";
import { Call, type CallEnvironment } from "../call.ts";
import type { ServedMethod } from "../method.ts";
import { runBidi, runServerStream, runUnary } from "../run.ts";
import { deadlineExceeded, effectiveDeadline } from "../steps/deadline.ts";
import { toServiceError } from "../steps/status.ts";
import { findIllFormedText } from "../steps/well-formed.ts";
import { Stream, type StreamTransport } from "../stream.ts";
import { toConnectError } from "./connect-error.ts";

/** Answers that wait for the peer, beyond which it counts as slow… */
const highWaterFrames = 8;
/** …until no more than these are left. */
const lowWaterFrames = 2;

/** Who is at the other end of the connection that a call came by. */
export interface EdgePeer {
  readonly address: string;
  /** SPIFFE id in its verified certificate. */
  readonly principal: string | undefined;
}

/** A call on the HTTP edge, of the Connect, gRPC-Web or gRPC protocol. */
export class EdgeCall extends Call implements StreamTransport {
  readonly peerAddress: string;
  readonly peerPrincipal: string | undefined;
  private readonly context: HandlerContext;
  private resolve: ((response: object) => void) | undefined = undefined;
  private reject: ((error: ConnectError) => void) | undefined = undefined;
  private stream: Stream | undefined = undefined;
  private requests: AsyncIterator<Message> | undefined = undefined;
  private readonly answers: Message[] = [];
  private slow = false;
  private outcome: { readonly error: ConnectError | undefined } | undefined = undefined;
  private wake: (() => void) | undefined = undefined;

  constructor(served: ServedMethod, environment: CallEnvironment, context: HandlerContext, peer: EdgePeer) {
    super(served, environment, performance.now());
    this.context = context;
    this.peerAddress = peer.address;
    this.peerPrincipal = peer.principal;
    const remainingMs = context.timeoutMs();
    const now = Date.now();
    const unary = served.descriptor.methodKind === "unary";
    this.deadline = effectiveDeadline(
      remainingMs === undefined ? undefined : now + remainingMs,
      now,
      unary ? environment.limits.maxUnaryMs : undefined,
    );
  }

  header(name: string): string | undefined {
    return this.context.requestHeader.get(name) ?? undefined;
  }

  /** Refuses a call that is late already, or that comes under overload. */
  open(): void {
    const { admission, limits } = this.environment;
    if (this.deadline !== undefined && this.deadline <= Date.now()) {
      this.expire();
      throw toConnectError(deadlineExceeded(), this.requestId);
    }
    if (!this.served.essential && admission.refuses()) {
      const error = overloaded(limits);
      this.fail(error);
      throw toConnectError(error, this.requestId);
    }
    this.enter();
  }

  answerUnary(request: Message): Promise<object> {
    return new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
      try {
        this.check(request);
      } catch (error) {
        this.fail(error);
        return;
      }
      runUnary(this, request);
    });
  }

  answerStream(request: Message): AsyncIterable<Message> {
    this.stream = new Stream(this);
    try {
      this.check(request);
      void runServerStream(this, this.stream, request);
    } catch (error) {
      this.fail(error);
    }
    return this.responses();
  }

  answerBidi(requests: AsyncIterable<Message>): AsyncIterable<Message> {
    this.requests = requests[Symbol.asyncIterator]();
    this.stream = new Stream(this);
    runBidi(this, this.stream);
    return this.responses();
  }

  complete(response: object): void {
    if (this.settle(undefined)) this.resolve?.(response);
  }

  fail(thrown: unknown): void {
    const error = toServiceError(thrown);
    if (!this.settle(error)) return;
    const connectError = toConnectError(error, this.requestId);
    this.reject?.(connectError);
    this.over(connectError);
  }

  read(): void {
    this.requests?.next().then(
      (result) => {
        if (result.done === true) {
          this.stream?.receiveEnd();
          return;
        }
        try {
          this.check(result.value);
        } catch (error) {
          this.fail(error);
          return;
        }
        this.stream?.receive(result.value);
      },
      (error: unknown) => this.fail(error),
    );
  }

  write(frame: Message): boolean {
    this.answers.push(frame);
    this.wake?.();
    if (this.answers.length >= highWaterFrames) this.slow = true;
    return !this.slow;
  }

  finish(error: unknown): void {
    if (error !== undefined) this.fail(error);
    else if (this.settle(undefined)) this.over(undefined);
  }

  private over(error: ConnectError | undefined): void {
    this.outcome = { error };
    this.wake?.();
    this.stream?.close();
  }

  /** The answers in order, then the end or the error; what is queued is sent before an end, but not before an error. */
  private async *responses(): AsyncGenerator<Message> {
    for (;;) {
      if (this.outcome?.error !== undefined) throw this.outcome.error;
      const answer = this.answers.shift();
      if (answer !== undefined) {
        yield create(this.served.descriptor.output, answer);
        if (this.slow && this.answers.length <= lowWaterFrames) {
          this.slow = false;
          this.stream?.becameWritable();
        }
      } else if (this.outcome !== undefined) {
        return;
      } else {
        await new Promise<void>((resolve) => (this.wake = resolve));
      }
    }
  }

  /** What the binary decoder of the gRPC port refuses by itself, JSON lets through: text that is not well-formed. */
  private check(request: Message): void {
    const field = findIllFormedText(request);
    if (field !== undefined) {
      throw invalidArgument([
        { field, description: "is nested too deep or holds text that is not well-formed Unicode" },
      ]);
    }
    this.served.validate(request);
  }
}
