import type { Http2Server, Http2Session, ServerOptions } from "node:http2";
import type { Socket } from "node:net";
import {
  logVerbosity,
  Server,
  ServerCredentials,
  type ServerInterceptingCall,
  type ServerInterceptor,
  type ServiceDefinition,
  setLogVerbosity,
} from "@grpc/grpc-js";
import { type ListenAddress, listen } from "../../lifecycle/listen.ts";
import type { Metrics } from "../../metrics/metrics.ts";
import { createListener, type ServerTls } from "../../tls/tls-listener.ts";
import type { CallEnvironment } from "../call.ts";
import { announceDrain, limitAge, onSession } from "../connection-age.ts";
import { trackConnections } from "../connections.ts";
import type { Door } from "../door.ts";
import type { HostLimits } from "../limits.ts";
import type { ServedMethod } from "../method.ts";
import { Gate } from "./gate.ts";
import { GrpcCall } from "./grpc-call.ts";

/** Serves methods to native gRPC clients by grpc-js, over TLS or in cleartext HTTP/2. */
export function createGrpcDoor(
  address: ListenAddress,
  methods: readonly ServedMethod[],
  environment: CallEnvironment,
  metrics: Metrics,
  tls?: ServerTls | undefined,
): Door {
  const { limits } = environment;
  // It would print headers it cannot read to standard error, secrets among them.
  setLogVerbosity(logVerbosity.NONE);
  let gate: Gate;
  const server = new Server({
    "grpc.max_receive_message_length": limits.maxMessageBytes,
    "grpc.max_send_message_length": limits.maxMessageBytes,
    "grpc.max_concurrent_streams": limits.maxConcurrentStreams,
    "grpc.keepalive_time_ms": limits.keepaliveIntervalMs,
    "grpc.keepalive_timeout_ms": limits.keepaliveTimeoutMs,
    "grpc.enable_channelz": 0,
    interceptors: [answering(methods, environment, () => gate.arrivedAt)],
  });
  announceHeaderLimit(server, limits.maxHeaderBytes);
  allowResets(server, limits.maxStreamResetsPerSecond);
  // Before the injector makes its HTTP/2 server.
  const sessions = trackSessions(server, limits);
  server.addService(serviceDefinition(methods), Object.fromEntries(methods.map(({ path }) => [path, unreachable])));
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  gate = new Gate(server, methods, environment);
  const transport = { protocols: ["h2"], demandsCertificate: tls?.clientRequired.grpc ?? false };
  const listener = createListener(tls, transport, (socket) => injector.injectConnection(socket));
  const connections = trackConnections(listener, limits.maxConnections, metrics);

  return {
    start: () => listen(listener, "gRPC", address),
    async drain(graceMs) {
      const closed = new Promise<void>((resolve) => listener.close(() => resolve()));
      // Not forceShutdown, which forgets the sessions when channelz is off.
      const force = setTimeout(() => connections.destroy(), graceMs);
      await announceDrain(sessions);
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      await closed;
      clearTimeout(force);
    },
  };
}

/** Hands every call to a GrpcCall of its method. */
function answering(
  methods: readonly ServedMethod[],
  environment: CallEnvironment,
  arrivedAt: () => number,
): ServerInterceptor {
  const byPath = new Map(methods.map((method) => [method.path, method]));
  return (definition, transport) => {
    const call = new GrpcCall(byPath.get(definition.path)!, environment, arrivedAt(), transport);
    // grpc-js needs nothing of it but `start`.
    return call as unknown as ServerInterceptingCall;
  };
}

/** Describes methods to grpc-js. Messages stay bytes: GrpcCall decodes them, so that it can say what is wrong with them. */
function serviceDefinition(methods: readonly ServedMethod[]): ServiceDefinition {
  const bytes = (value: Buffer): Buffer => value;
  return Object.fromEntries(
    methods.map(({ path, descriptor: { methodKind } }) => [
      path,
      {
        path,
        requestStream: methodKind === "bidi_streaming" || methodKind === "client_streaming",
        responseStream: methodKind === "bidi_streaming" || methodKind === "server_streaming",
        requestSerialize: bytes,
        requestDeserialize: bytes,
        responseSerialize: bytes,
        responseDeserialize: bytes,
      },
    ]),
  );
}

function unreachable(): void {
  throw new Error("calls are answered by the interceptor");
}

/**
 * The open sessions with their sockets, each ended at its age. grpc-js has ages of its own, but closes without notice: calls that are on their
 * way are refused then, and Envoy does not try a check again.
 */
function trackSessions(server: Server, limits: HostLimits): ReadonlyMap<Http2Session, Socket> {
  const sessions = new Map<Http2Session, Socket>();
  const internals = server as unknown as { createHttp2Server(credentials: ServerCredentials): Http2Server };
  const create = internals.createHttp2Server.bind(server);
  internals.createHttp2Server = (credentials) => {
    const http2 = create(credentials);
    onSession(http2, (session, socket) => {
      sessions.set(session, socket);
      const stopClock = limitAge(session, socket, limits);
      session.once("close", () => {
        sessions.delete(session);
        stopClock();
      });
    });
    return http2;
  };
  return sessions;
}

/** Tells peers the limit that GrpcCall holds them to. grpc-js has no option for the setting; it makes its server of these. */
function announceHeaderLimit(server: Server, bytes: number): void {
  const { commonServerOptions } = server as unknown as {
    commonServerOptions: { settings: { maxHeaderListSize?: number } };
  };
  commonServerOptions.settings.maxHeaderListSize = bytes;
}

/**
 * Lets peers reset more streams than nghttp2 does, which ends a connection at more than 33 a second: clients reset a stream at
 * its deadline, and under overload many do. grpc-js has no option for it either.
 */
function allowResets(server: Server, perSecond: number): void {
  const { commonServerOptions } = server as unknown as { commonServerOptions: ServerOptions };
  commonServerOptions.streamResetRate = perSecond;
  commonServerOptions.streamResetBurst = perSecond;
}
