import { create } from "@bufbuild/protobuf";
import {
  Health,
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import type { Readiness } from "../lifecycle/readiness.ts";
import { ServiceError } from "../service-error.ts";
import { type CallContext, type ServedService, serve } from "./handler.ts";

/**
 * grpc.health.v1 (grpc/doc/health-checking.md): the server as a whole, named `""`, and each of its services serve when the
 * host is ready.
 */
export function healthService(services: readonly ServedService[], readiness: Readiness): ServedService {
  const known = new Set(["", ...services.map((service) => service.descriptor.typeName)]);
  const status = (): HealthCheckResponse =>
    create(HealthCheckResponseSchema, { status: readiness.ready ? Status.SERVING : Status.NOT_SERVING });

  async function* watch(service: string, context: CallContext): AsyncGenerator<HealthCheckResponse> {
    if (!known.has(service)) {
      yield create(HealthCheckResponseSchema, { status: Status.SERVICE_UNKNOWN });
      await aborted(context.signal);
      return;
    }
    let last: Status | undefined;
    while (!context.signal.aborted) {
      const now = status();
      if (now.status !== last) yield now;
      last = now.status;
      if (readiness.ready === (last === Status.SERVING)) await changed(readiness, context.signal);
    }
  }

  return serve(Health, {
    check({ service }) {
      if (known.has(service)) return status();
      throw new ServiceError("NOT_FOUND", "There is no such service here.", { reason: "UNKNOWN_SERVICE" });
    },
    list: () => ({ statuses: Object.fromEntries([...known].map((service) => [service, status()])) }),
    watch: ({ service }, context) => watch(service, context),
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function changed(readiness: Readiness, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const stop = readiness.onChange(done);
    function done(): void {
      stop();
      signal.removeEventListener("abort", done);
      resolve();
    }
    if (signal.aborted) done();
    else signal.addEventListener("abort", done, { once: true });
  });
}
