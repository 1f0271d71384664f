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
import { trackConnections } from "../connections.ts";
import type { Door } from "../door.ts";
import type { ServedMethod } from "../method.ts";
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
  const server = new Server({
    "grpc.max_receive_message_length": limits.maxMessageBytes,
    "grpc.max_send_message_length": limits.maxMessageBytes,
    "grpc.max_concurrent_streams": limits.maxConcurrentStreams,
    "grpc.keepalive_time_ms": limits.keepaliveIntervalMs,
    "grpc.keepalive_timeout_ms": limits.keepaliveTimeoutMs,
    "grpc.max_connection_age_ms": limits.maxConnectionAgeMs,
    "grpc.max_connection_age_grace_ms": limits.maxConnectionAgeGraceMs,
    "grpc.enable_channelz": 0,
    interceptors: [answering(methods, environment)],
  });
  announceHeaderLimit(server, limits.maxHeaderBytes);
  server.addService(serviceDefinition(methods), Object.fromEntries(methods.map(({ path }) => [path, unreachable])));
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const transport = { protocols: ["h2"], demandsCertificate: tls?.clientRequired.grpc ?? false };
  const listener = createListener(tls, transport, (socket) => injector.injectConnection(socket));
  const connections = trackConnections(listener, limits.maxConnections, metrics);

  return {
    start: () => listen(listener, "gRPC", address),
    async drain(graceMs) {
      const closed = new Promise<void>((resolve) => listener.close(() => resolve()));
      // Not forceShutdown, which forgets the sessions when channelz is off.
      const force = setTimeout(() => connections.destroy(), graceMs);
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      await closed;
      clearTimeout(force);
    },
  };
}

/** Hands every call to a GrpcCall of its method. */
function answering(methods: readonly ServedMethod[], environment: CallEnvironment): ServerInterceptor {
  const byPath = new Map(methods.map((method) => [method.path, method]));
  return (definition, transport) => {
    const call = new GrpcCall(byPath.get(definition.path)!, environment, transport);
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

/** Tells peers the limit that GrpcCall holds them to. grpc-js has no option for the setting; it makes its server of these. */
function announceHeaderLimit(server: Server, bytes: number): void {
  const { commonServerOptions } = server as unknown as {
    commonServerOptions: { settings: { maxHeaderListSize?: number } };
  };
  commonServerOptions.settings.maxHeaderListSize = bytes;
}
