import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";
import type { Socket } from "node:net";
import { createRegistry, type DescMethod, type DescService, type Message } from "@bufbuild/protobuf";
import {
  ConnectError,
  type ConnectRouter,
  createContextKey,
  createContextValues,
  type HandlerContext,
  type ServiceImpl,
} from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { file_google_rpc_error_details } from "../../../../gen/google/rpc/error_details_pb.ts";
import { verifiedPeerOf } from "../../tls/verified-peer.ts";
import type { CallEnvironment } from "../call.ts";
import { closeHalfOpen } from "../close-half-open.ts";
import type { ServedMethod } from "../method.ts";
import { cancelled } from "../steps/cancelled.ts";
import { fromConnect, rewrite, toConnectError } from "./connect-error.ts";
import { EdgeCall, type EdgePeer } from "./edge-call.ts";

const peerKey = createContextKey<EdgePeer>({ address: "unknown", principal: undefined });
const callKey = createContextKey<EdgeCall | undefined>(undefined);

/** Serves methods as Connect, gRPC-Web and gRPC by connect-node; requests for anything else go to `fallback`. */
export function createRpcListener(
  methods: readonly ServedMethod[],
  environment: CallEnvironment,
  fallback: RequestListener,
): RequestListener {
  const { maxMessageBytes } = environment.limits;
  const byDescriptor = new Map<DescMethod, ServedMethod>(methods.map((method) => [method.descriptor, method]));
  const services = new Set(methods.map((method) => method.descriptor.parent));
  const registry = createRegistry(file_google_rpc_error_details, ...[...services].map((service) => service.file));
  const listener = connectNodeAdapter({
    routes: (router) => addServices(router, services),
    fallback: (request, response) => fallback(request as IncomingMessage, response as ServerResponse),
    contextValues: (request) => createContextValues().set(peerKey, peerOf(request.socket)),
    requestGate: (context) => openCall(byDescriptor.get(context.method)!, environment, context),
    readMaxBytes: maxMessageBytes,
    writeMaxBytes: maxMessageBytes,
    // A misspelt field must not be taken for one that was left out.
    jsonOptions: { ignoreUnknownFields: false, registry },
  });
  return (request, response) => {
    closeAfterEarlyAnswer(request, response);
    listener(request, response);
  };
}

function peerOf(socket: Socket): EdgePeer {
  return { address: socket.remoteAddress ?? "unknown", principal: verifiedPeerOf(socket)?.spiffeId };
}

/**
 * Closes what a request came by when the answer comes before it has been read, such as that to an oversized one: the HTTP/2
 * stream, or the HTTP/1.1 connection, where what is left of the request would be taken for the next.
 */
function closeAfterEarlyAnswer(request: IncomingMessage, response: ServerResponse): void {
  if (request.httpVersionMajor > 1) {
    const { stream } = response as unknown as Http2ServerResponse;
    stream.once("finish", () => closeHalfOpen(stream));
    return;
  }
  const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => ServerResponse;
  response.writeHead = (...args: unknown[]): ServerResponse => {
    if (!request.complete) response.shouldKeepAlive = false;
    return writeHead(...args);
  };
}

/** Before the request is read: makes the call, and sees to it that connect's own errors become ours. */
function openCall(method: ServedMethod, environment: CallEnvironment, context: HandlerContext): void {
  const call = new EdgeCall(method, environment, context, context.values.get(peerKey));
  context.values.set(callKey, call);
  // Connect aborts the context with the error it is about to send, or without one when the call is over or the peer gone.
  context.signal.addEventListener("abort", () => {
    const raised: unknown = context.signal.reason;
    if (call.finished) return;
    if (!(raised instanceof ConnectError)) {
      call.fail(cancelled());
      return;
    }
    const error = fromConnect(raised, environment.limits.maxMessageBytes);
    rewrite(raised, toConnectError(error, call.requestId));
    call.fail(error);
  });
  call.open();
}

function addServices(router: ConnectRouter, services: ReadonlySet<DescService>): void {
  for (const service of services) {
    const handlers = service.methods.map((method) => [method.localName, handlerOf(method)]);
    router.service(service, Object.fromEntries(handlers) as Partial<ServiceImpl<DescService>>);
  }
}

function handlerOf({ methodKind }: DescMethod): (request: never, context: HandlerContext) => unknown {
  const callOf = (context: HandlerContext): EdgeCall => context.values.get(callKey)!;
  switch (methodKind) {
    case "server_streaming":
      return (request: Message, context) => callOf(context).answerStream(request);
    case "bidi_streaming":
      return (requests: AsyncIterable<Message>, context) => callOf(context).answerBidi(requests);
    default:
      return (request: Message, context) => callOf(context).answerUnary(request);
  }
}
