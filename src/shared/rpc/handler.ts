import type { DescMessage, DescMethod, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import type { FieldViolation } from "../service-error.ts";

/** What a handler may know about the call it answers, whichever door the call came through. */
export interface CallContext {
  /** Full method name, for example `gatehouse.policy.v1.PolicyService/Evaluate`. */
  readonly method: string;
  /** The caller's `x-request-id` when it is well-formed, otherwise a new one. */
  readonly requestId: string;
  /** W3C `traceparent` of this call, to be passed on. */
  readonly traceparent: string;
  /**
   * When the caller stops waiting, in milliseconds since the epoch. A unary call always has one, at most the host's
   * maximum from its start; a stream only when its caller said so.
   */
  readonly deadline: number | undefined;
  /** Aborted when the caller is gone, the deadline has passed, or the call is over with an error. */
  readonly signal: AbortSignal;
  /** Aborted when the host begins to drain: a long-lived stream should finish what is in flight and end. */
  readonly draining: AbortSignal;
  /** Address of the peer, without its port. */
  readonly peerAddress: string;
  /**
   * SPIFFE id in the certificate of the peer, which this host itself has verified. Undefined in plain text, without a
   * certificate, or when it carries none; behind a proxy, it is the proxy's.
   */
  readonly peerPrincipal: string | undefined;
  /** Value of a request header, by its lower-case name; repeated ones are joined by commas (RFC 9110 section 5.3). */
  header(name: string): string | undefined;
  readonly logger: Logger;
}

type Shape<D extends DescMessage> = MessageShape<D>;
type Init<D extends DescMessage> = MessageInitShape<D>;

/** Answers one request with one message; throws ServiceError to refuse. */
export type UnaryHandler<M extends DescMethod> = (
  request: Shape<M["input"]>,
  context: CallContext,
) => Init<M["output"]> | Promise<Init<M["output"]>>;

/** Answers one request with a stream of messages. When the host drains, it ends the stream with UNAVAILABLE. */
export type ServerStreamHandler<M extends DescMethod> = (
  request: Shape<M["input"]>,
  context: CallContext,
) => AsyncIterable<Init<M["output"]>>;

/** The server's side of a bidirectional stream, driven by events: no promise a frame. */
export interface BidiCall<M extends DescMethod> {
  /** Called for each frame, in order. A throw ends the stream with that error. Frames flow once this is set. */
  onFrame(listener: (frame: Shape<M["input"]>) => void): void;
  /** Called once the caller has half-closed. */
  onEnd(listener: () => void): void;
  /** Called once when the stream is over for any reason. */
  onClose(listener: () => void): void;
  /** Called when `send` has answered false and there is room again. */
  onWritable(listener: () => void): void;
  /** Sends a frame; false when the peer is slow and the handler should pause until writable. Ignored after the end. */
  send(frame: Shape<M["output"]>): boolean;
  /** Stops the flow of frames, so that HTTP/2 flow control reaches the peer. */
  pause(): void;
  resume(): void;
  /** Ends the stream, well or with an error. */
  end(error?: unknown): void;
}

/** Serves a bidirectional stream. Returns at once; the stream lives by its listeners. */
export type BidiStreamHandler<M extends DescMethod> = (call: BidiCall<M>, context: CallContext) => void;

type HandlerOf<M extends DescMethod> = M["methodKind"] extends "unary"
  ? UnaryHandler<M>
  : M["methodKind"] extends "server_streaming"
    ? ServerStreamHandler<M>
    : M["methodKind"] extends "bidi_streaming"
      ? BidiStreamHandler<M>
      : never;

/** Handlers of a service by method name; a missing one answers UNIMPLEMENTED. */
export type Handlers<S extends DescService> = {
  readonly [K in keyof S["method"]]?: HandlerOf<S["method"][K]>;
};

/** Answers what is wrong with a request; nothing when it is valid. */
export type RequestValidator<D extends DescMessage> = (request: Shape<D>) => readonly FieldViolation[];

/**
 * Hand-written validators by method name, for methods where the general one, made of the contract's annotations, is too
 * slow. A test must hold each equal to the annotations.
 */
export type Validators<S extends DescService> = {
  readonly [K in keyof S["method"]]?: RequestValidator<S["method"][K]["input"]>;
};

/** Encodes and decodes the messages of one method; throws what protobuf-es would throw. */
export interface MethodCodec<I, O> {
  decode(bytes: Uint8Array): I;
  encode(message: O): Uint8Array;
}

/** Hand-written codecs by method name, for methods where protobuf-es is a large part of the work. The gRPC port uses them. */
export type Codecs<S extends DescService> = {
  readonly [K in keyof S["method"]]?: MethodCodec<Shape<S["method"][K]["input"]>, Shape<S["method"][K]["output"]>>;
};

/** A service with its handlers, for the host to serve on every door. */
export interface ServedService {
  readonly descriptor: DescService;
  readonly handlers: Readonly<Record<string, unknown>>;
  readonly validators: Readonly<Record<string, unknown>>;
  readonly codecs: Readonly<Record<string, unknown>>;
  /** Whether its calls are served under overload too. */
  readonly essential: boolean;
}

/** Binds handlers to their service, checking their types. */
export function serve<S extends DescService>(
  descriptor: S,
  handlers: Handlers<S>,
  validators: Validators<S> = {},
  codecs: Codecs<S> = {},
): ServedService {
  return { descriptor, handlers, validators, codecs, essential: false };
}

/** The service, served under overload too, when others are refused: for what operators and orchestrators need, which is seldom asked. */
export function essential(service: ServedService): ServedService {
  return { ...service, essential: true };
}
