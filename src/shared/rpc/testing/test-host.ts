import { setTimeout as sleep } from "node:timers/promises";
import { create, type JsonObject, type MessageInitShape } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import { Decision } from "../../../../gen/gatehouse/policy/v1/decision_pb.ts";
import { PolicyAdminService } from "../../../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import { type EvaluateRequestSchema, PolicyService } from "../../../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { EvaluateStreamResponseSchema } from "../../../../gen/gatehouse/policy/v1/stream_pb.ts";
import { createReadiness, type Readiness, type ReadinessCheck } from "../../lifecycle/readiness.ts";
import { createLogger } from "../../logger/logger.ts";
import { createMetrics, type Metrics } from "../../metrics/metrics.ts";
import { ServiceError } from "../../service-error.ts";
import type { ServerTls } from "../../tls/tls-listener.ts";
import { type CallContext, serve } from "../handler.ts";
import { createHost, type Host } from "../host.ts";
import type { HostLimits } from "../limits.ts";

/** A host on free ports, with handlers that do what the resource's id tells them. */
export interface TestHost {
  readonly host: Host;
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly readiness: Readiness;
  readonly check: ReadinessCheck;
  readonly metrics: Metrics;
  /** Contexts of the calls that reached a handler. */
  readonly seen: CallContext[];
  logs(): string;
  stop(): Promise<void>;
}

export async function startTestHost(
  limits: Partial<HostLimits> = {},
  tls?: (parts: Pick<TestHost, "readiness" | "metrics"> & { readonly logger: Logger }) => ServerTls,
): Promise<TestHost> {
  const lines: string[] = [];
  const logger = createLogger({ service: "test", destination: { write: (line) => void lines.push(line) } });
  const metrics = createMetrics({ service: "test", process: false });
  const readiness = createReadiness();
  const check = readiness.add("policies");
  check.set(true);
  const seen: CallContext[] = [];

  const policy = serve(PolicyService, {
    evaluate(request, context) {
      seen.push(context);
      const id = request.resource?.id ?? "";
      const answer = { decision: Decision.ALLOW, decisionId: id };
      switch (id) {
        case "async":
          return sleep(1, answer);
        case "slow":
          return sleep(200, answer);
        case "busy":
          keepBusy(5);
          return answer;
        case "hang":
          return new Promise(() => {});
        case "refuse":
          throw new ServiceError("PERMISSION_DENIED", "Not you.", { reason: "NOT_YOU" });
        case "throw":
          throw new Error("secret of the database");
        case "reject":
          return Promise.reject(new Error("secret of the database"));
        case "big":
          return { ...answer, determiningPolicies: ["x".repeat(2_000_000)] };
        default:
          return answer;
      }
    },
    // Answers each frame of columns with as many decisions as it has resources.
    evaluateStream(call, context) {
      seen.push(context);
      call.onFrame(({ frame }) => {
        if (frame.case !== "columns") throw new ServiceError("INVALID_ARGUMENT", "Columns only.", { reason: "FRAME" });
        const { frameId, resources } = frame.value;
        const decisions = resources.map(() => Decision.ALLOW);
        const answer = create(EvaluateStreamResponseSchema, {
          frame: { case: "columns", value: { frameId, decisions } },
        });
        if (!call.send(answer)) call.pause();
      });
      call.onWritable(() => call.resume());
      call.onEnd(() => call.end());
      context.draining.addEventListener("abort", () =>
        call.end(new ServiceError("UNAVAILABLE", "Going away.", { reason: "DRAINING" })),
      );
    },
  });
  const admin = serve(PolicyAdminService, {
    async *watchRevisions(_, context) {
      seen.push(context);
      for (let revision = 1n; !context.signal.aborted; revision += 1n) {
        yield { entityRevision: revision };
        if (revision === 3n) await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      }
    },
  });

  const host = createHost({
    grpc: { host: "127.0.0.1", port: 0, env: "TEST_GRPC_PORT" },
    http: { host: "127.0.0.1", port: 0, env: "TEST_HTTP_PORT" },
    services: [policy, admin],
    readiness,
    logger,
    metrics,
    tls: tls?.({ readiness, metrics, logger }),
    limits: { drainGraceMs: 500, ...limits },
  });
  const ports = await host.start();
  return { host, ...ports, readiness, check, metrics, seen, logs: () => lines.join(""), stop: () => host.drain() };
}

function keepBusy(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** A valid request on the document `id`. */
export function evaluateRequest(options: {
  id: string;
  context?: JsonObject;
}): MessageInitShape<typeof EvaluateRequestSchema> {
  return {
    principal: { type: "User", id: "alice" },
    action: { type: "Action", id: "view" },
    resource: { type: "Document", id: options.id },
    ...(options.context === undefined ? {} : { context: options.context }),
  };
}
