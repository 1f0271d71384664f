import type { Logger } from "pino";
import { PolicyService } from "../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { assertLoopback } from "../shared/config/demo-profile.ts";
import { hostLimits } from "../shared/config/host-settings.ts";
import { createReadiness } from "../shared/lifecycle/readiness.ts";
import type { ServiceApp } from "../shared/lifecycle/run-service.ts";
import { createMetrics } from "../shared/metrics/metrics.ts";
import { serve } from "../shared/rpc/handler.ts";
import { createHost } from "../shared/rpc/host.ts";
import type { PolicyConfig } from "./config.ts";
import { createCedarControl } from "./control/cedar-control.ts";
import { findViolations } from "./convert.ts";
import { ActivePolicies } from "./domain/active-policies.ts";
import { createDecisionIds } from "./domain/decision-id.ts";
import { createEvaluateHandler } from "./handlers/evaluate.ts";
import { createEvaluateBatchHandler } from "./handlers/evaluate-batch.ts";
import { createEvaluateStreamHandler } from "./handlers/evaluate-stream.ts";
import { followPolicyDirectory } from "./policy-directory-source.ts";
import { createPolicyMetrics } from "./policy-metrics.ts";
import { evaluateCodec } from "./wire/evaluate-codec.ts";
import { streamCodec } from "./wire/stream-codec.ts";

/** Puts policy-service together from its configuration. */
export function createPolicyApp(config: PolicyConfig, logger: Logger): ServiceApp {
  if (config.profile === "demo")
    assertLoopback({ POLICY_GRPC_HOST: config.grpcHost, POLICY_HTTP_HOST: config.httpHost });
  const readiness = createReadiness();
  const metrics = createMetrics({ service: "policy-service" });
  const policyMetrics = createPolicyMetrics(metrics.registry);

  const policies = new ActivePolicies();
  const control = createCedarControl();
  const source = followPolicyDirectory({
    directory: config.policyDir,
    strictForbid: !config.skipFailingForbids,
    control,
    policies,
    check: readiness.add("policies"),
    metrics: policyMetrics,
    logger,
  });

  const deciding = { policies, nextDecisionId: createDecisionIds(), observer: policyMetrics };
  const evaluateBatch = createEvaluateBatchHandler(deciding);
  const evaluateStream = createEvaluateStreamHandler({
    ...deciding,
    maxInFlight: config.streamMaxInFlight,
    idleTimeoutMs: config.streamIdleTimeoutMs,
  });
  const evaluate = createEvaluateHandler({
    ...deciding,
    stepUps: [{ path: ["mfa"], value: true }],
  });

  const host = createHost({
    grpc: { host: config.grpcHost, port: config.grpcPort, env: "POLICY_GRPC_PORT" },
    http: { host: config.httpHost, port: config.httpPort, env: "POLICY_HTTP_PORT" },
    services: [
      serve(
        PolicyService,
        { evaluate, evaluateBatch, evaluateStream },
        // A stream's frames are checked item by item: the fault of one must not end the stream.
        { evaluate: findViolations, evaluateStream: () => [] },
        { evaluate: evaluateCodec, evaluateStream: streamCodec },
      ),
    ],
    readiness,
    logger,
    metrics,
    limits: hostLimits(config),
  });

  async function stop(): Promise<void> {
    await host.drain();
    source.close();
    await control.close();
  }

  return {
    async start() {
      try {
        const ports = await host.start();
        await source.firstLoad();
        return ports;
      } catch (error) {
        await stop();
        throw error;
      }
    },
    stop,
  };
}
