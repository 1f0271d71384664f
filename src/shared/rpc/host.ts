import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { ListenAddress } from "../lifecycle/listen.ts";
import type { Readiness } from "../lifecycle/readiness.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { statusCodes } from "../service-error.ts";
import type { ServerTls } from "../tls/tls-listener.ts";
import type { Tracer } from "../tracing/tracer.ts";
import { Admission } from "./admission/admission.ts";
import { logOverload } from "./admission/overload-log.ts";
import { observeAdmission } from "./admission/overload-metrics.ts";
import type { CallEnvironment } from "./call.ts";
import { createEdgeDoor } from "./edge/edge-door.ts";
import { createRouter, operationalRoutes, type Route } from "./edge/routes.ts";
import { createRpcListener } from "./edge/rpc-listener.ts";
import { createGrpcDoor } from "./grpc/grpc-door.ts";
import { essential, type ServedService } from "./handler.ts";
import { healthService } from "./health.ts";
import { defaultLimits, type HostLimits } from "./limits.ts";
import { servedMethods } from "./method.ts";
import { reflectionServices } from "./reflection.ts";

export interface HostOptions {
  /** Where native gRPC is served. */
  readonly grpc: ListenAddress;
  /** Where Connect, gRPC-Web and plain HTTP are served. */
  readonly http: ListenAddress;
  readonly services: readonly ServedService[];
  /** What `/readyz` and grpc.health.v1 tell. */
  readonly readiness: Readiness;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Plain HTTP routes beside `/livez`, `/readyz` and `/metrics`. */
  readonly routes?: readonly Route[];
  /** TLS of both ports. Default: plain text. */
  readonly tls?: ServerTls | undefined;
  /** Records traces of the calls. Default: none. */
  readonly tracer?: Tracer | undefined;
  /** Bounds that differ from `defaultLimits`. */
  readonly limits?: Partial<HostLimits>;
}

/** Serves one set of handlers on a gRPC port and an HTTP edge. */
export interface Host {
  /**
   * Listens on both ports.
   *
   * @throws ListenError when one of them cannot be had; then neither is.
   */
  start(): Promise<{ readonly grpcPort: number; readonly httpPort: number }>;
  /**
   * Ends readiness, takes nothing new, lets calls in flight finish, ends those that do not within the grace period, and
   * closes both ports. The second call waits for the first.
   */
  drain(): Promise<void>;
}

export function createHost(options: HostOptions): Host {
  const { readiness, metrics, logger } = options;
  const limits: HostLimits = { ...defaultLimits, ...options.limits };
  const draining = new AbortController();
  // Every stream listens to it.
  setMaxListeners(0, draining.signal);
  const admission = new Admission(limits);
  observeAdmission(metrics.registry, admission);
  const endLog = logOverload(logger, admission);
  const environment: CallEnvironment = { logger, limits, admission, draining: draining.signal, tracer: options.tracer };

  const services = [...options.services, essential(healthService(options.services, readiness))];
  const methods = servedMethods([...services, ...reflectionServices(services).map(essential)], metrics);
  const unknown = metrics.calls("unknown");
  const router = createRouter([...operationalRoutes(readiness, metrics), ...(options.routes ?? [])], logger, () =>
    unknown.record(statusCodes.UNIMPLEMENTED, 0),
  );
  const grpc = createGrpcDoor(options.grpc, methods, environment, metrics, options.tls);
  const listener = createRpcListener(methods, environment, router);
  const edge = createEdgeDoor(options.http, listener, limits, metrics, options.tls);
  let drained: Promise<void> | undefined;

  async function drain(): Promise<void> {
    readiness.drain();
    // Also without a delay, so that watchers of the health hear of it before their streams end.
    await sleep(limits.drainDelayMs);
    draining.abort();
    await Promise.all([grpc.drain(limits.drainGraceMs), edge.drain(limits.drainGraceMs)]);
    endLog();
    admission.close();
  }

  return {
    async start() {
      const grpcPort = await grpc.start();
      try {
        return { grpcPort, httpPort: await edge.start() };
      } catch (error) {
        await grpc.drain(0);
        throw error;
      }
    },
    drain: () => (drained ??= drain()),
  };
}
