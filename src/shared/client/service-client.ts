import type {
  DescMessage,
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Client, type CallOptions as GrpcCallOptions, Metadata } from "@grpc/grpc-js";
import { createResilience, type Resilience, type ResilienceOptions } from "../resilience/resilience.ts";
import { ServiceError } from "../service-error.ts";
import type { Tracer } from "../tracing/tracer.ts";
import { type ChannelSettings, channelCredentials, channelOptions } from "./channel.ts";
import { deserializer, passThrough, serialize } from "./codec.ts";
import { fromFailedCall, wasRefusedUnread } from "./status.ts";
import { type BidiStream, bidiStream, serverStream } from "./streams.ts";

export interface ServiceClientOptions extends ResilienceOptions, ChannelSettings {
  /** Where the target listens: `host:port`, or a grpc name such as `dns:///policy-service:50052`. */
  readonly address: string;
  /** Records traces of unary calls that are made within a sampled trace. Default: none. */
  readonly tracer?: Tracer | undefined;
}

/** What a caller may say about one call. */
export interface CallOptions {
  /** When the caller stops waiting, in milliseconds since the epoch. */
  readonly deadline?: number | undefined;
  /** Cancels the call. */
  readonly signal?: AbortSignal | undefined;
  /** W3C `traceparent` to pass on. */
  readonly traceparent?: string | undefined;
  /** `x-request-id` to pass on. */
  readonly requestId?: string | undefined;
  /** More request headers, by lower-case name. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

type UnaryCall<I extends DescMessage, O extends DescMessage> = (
  request: MessageInitShape<I>,
  options?: CallOptions,
) => Promise<MessageShape<O>>;

type MethodCall<M extends DescMethod> =
  M extends DescMethodUnary<infer I, infer O>
    ? UnaryCall<I, O>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
      : M extends DescMethodBiDiStreaming<infer I, infer O>
        ? (options?: CallOptions) => BidiStream<I, O>
        : never;

/**
 * A service as functions, one for each RPC.
 *
 * Unary calls are guarded by the target's policies, see Resilience.execute for what they throw. Streams are not: they
 * live until their own deadline, and end with the ServiceError that the server gave.
 */
export type ServiceClient<S extends DescService> = {
  readonly [K in keyof S["method"]]: MethodCall<S["method"][K]>;
} & {
  readonly resilience: Resilience;
  /** Closes the connection; calls in flight end with CANCELLED or UNAVAILABLE. */
  close(): void;
};

function metadataOf(options: CallOptions): Metadata {
  const metadata = new Metadata();
  const { traceparent, requestId, headers } = options;
  if (headers !== undefined) for (const name of Object.keys(headers)) metadata.set(name, headers[name] as string);
  if (traceparent !== undefined) metadata.set("traceparent", traceparent);
  if (requestId !== undefined) metadata.set("x-request-id", requestId);
  return metadata;
}

function streamOptions(deadline: number | undefined): GrpcCallOptions {
  return deadline === undefined ? {} : { deadline };
}

/** Cancels a streaming call when the signal is aborted, as long as it lives. */
function cancelOn(
  signal: AbortSignal | undefined,
  stream: { cancel(): void; once(event: "close", f: () => void): void },
): void {
  if (signal === undefined) return;
  if (signal.aborted) stream.cancel();
  const cancel = (): void => stream.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  stream.once("close", () => signal.removeEventListener("abort", cancel));
}

function isIdempotent(method: DescMethod): boolean {
  return method.idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN;
}

/** Records calls that are made within a sampled trace, their retries included, and names each to the server as its parent. */
function traced(
  call: UnaryCall<DescMessage, DescMessage>,
  name: string,
  { tracer, target }: ServiceClientOptions,
): UnaryCall<DescMessage, DescMessage> {
  if (tracer === undefined) return call;
  return async (request, options = {}) => {
    const { traceparent } = options;
    const span = traceparent && tracer.start(name, "client", traceparent, { "server.address": target });
    if (!span) return await call(request, options);
    try {
      const response = await call(request, { ...options, traceparent: span.traceparent });
      span.end();
      return response;
    } catch (error) {
      span.end(error instanceof ServiceError ? error : undefined);
      throw error;
    }
  };
}

/** Connects to a service: one multiplexed HTTP/2 connection, opened by the first call, behind the target's policies. */
export function createServiceClient<S extends DescService>(
  descriptor: S,
  options: ServiceClientOptions,
): ServiceClient<S> {
  const client = new Client(options.address, channelCredentials(options.tls), channelOptions(options));
  const resilience = createResilience(options);

  function unary(method: DescMethod, path: string): UnaryCall<DescMessage, DescMessage> {
    const idempotent = isIdempotent(method);
    const deserialize = deserializer(method.output);
    return async (request, callOptions = {}) => {
      const { signal } = callOptions;
      const bytes = serialize(method.input, request);
      const metadata = metadataOf(callOptions);
      const send = (deadline: number, mayRepeat: boolean): Promise<MessageShape<DescMessage>> =>
        new Promise((resolve, reject) => {
          const call = client.makeUnaryRequest(
            path,
            passThrough,
            deserialize,
            bytes,
            metadata,
            { deadline },
            (error, response) => {
              signal?.removeEventListener("abort", cancel);
              if (error === null) resolve(response as MessageShape<DescMessage>);
              else if (mayRepeat && wasRefusedUnread(error)) resolve(send(deadline, false));
              else reject(fromFailedCall(error));
            },
          );
          const cancel = (): void => call.cancel();
          signal?.addEventListener("abort", cancel, { once: true });
        });
      return resilience.execute((deadline) => send(deadline, true), {
        deadline: callOptions.deadline,
        signal,
        idempotent,
      });
    };
  }

  function call(method: DescMethod): unknown {
    const path = `/${descriptor.typeName}/${method.name}`;
    switch (method.methodKind) {
      case "unary":
        return traced(unary(method, path), path.slice(1), options);
      case "server_streaming":
        return (request: MessageInitShape<DescMessage>, callOptions: CallOptions = {}) => {
          const stream = client.makeServerStreamRequest(
            path,
            passThrough,
            deserializer(method.output),
            serialize(method.input, request),
            metadataOf(callOptions),
            streamOptions(callOptions.deadline),
          );
          cancelOn(callOptions.signal, stream);
          return serverStream(stream);
        };
      case "bidi_streaming":
        return (callOptions: CallOptions = {}) => {
          const stream = client.makeBidiStreamRequest(
            path,
            passThrough,
            deserializer(method.output),
            metadataOf(callOptions),
            streamOptions(callOptions.deadline),
          );
          cancelOn(callOptions.signal, stream);
          return bidiStream(stream, method.input);
        };
      case "client_streaming":
        return () => {
          throw new ServiceError("UNIMPLEMENTED", "Client streaming is not supported.", { reason: "UNIMPLEMENTED" });
        };
    }
  }

  const calls = Object.fromEntries(descriptor.methods.map((method) => [method.localName, call(method)]));
  return { ...calls, resilience, close: () => client.close() } as ServiceClient<S>;
}
