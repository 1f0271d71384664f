import { hostname } from "node:os";
import type { Logger } from "pino";
import { AuthService } from "../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { PolicyAdminService } from "../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import { PolicyService } from "../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { createAdminAudit } from "../shared/audit/admin-audit.ts";
import { openAudit } from "../shared/audit/open-audit.ts";
import { createBusMetrics } from "../shared/bus/bus-metrics.ts";
import type { ClientTls } from "../shared/client/channel.ts";
import { createServiceClient } from "../shared/client/service-client.ts";
import { ConfigError } from "../shared/config/config.ts";
import { assertLoopback } from "../shared/config/demo-profile.ts";
import { hostLimits } from "../shared/config/host-settings.ts";
import { createReadiness } from "../shared/lifecycle/readiness.ts";
import type { ServiceApp } from "../shared/lifecycle/run-service.ts";
import { createMetrics } from "../shared/metrics/metrics.ts";
import { essential, serve } from "../shared/rpc/handler.ts";
import { createHost } from "../shared/rpc/host.ts";
import { openTls } from "../shared/tls/open-tls.ts";
import { openTracer } from "../shared/tracing/open-tracer.ts";
import { adminActions } from "./adapters/admin-actions.ts";
import { createKeyAuthenticator, createRemoteAuthenticator, firstOf } from "./adapters/admin-authenticators.ts";
import { createBusAnnouncer } from "./adapters/bus-announcer.ts";
import { createCompileSource } from "./compile-source.ts";
import { type PolicyConfig, policyFields } from "./config.ts";
import { createCedarControl } from "./control/cedar-control.ts";
import { findViolations } from "./convert.ts";
import { ActivePolicies } from "./domain/active-policies.ts";
import { createAdminGuard } from "./domain/admin-guard.ts";
import { loadAdminPolicies } from "./domain/admin-policies.ts";
import { createDecisionIds } from "./domain/decision-id.ts";
import { PolicyLifecycle } from "./domain/policy-lifecycle.ts";
import { ResidentEntities } from "./domain/resident-entities.ts";
import { Shadow } from "./domain/shadow.ts";
import { createTurns } from "./domain/turns.ts";
import { followChanges } from "./follow-changes.ts";
import { createAdminHandlers } from "./handlers/admin/admin-handlers.ts";
import { createEvaluateHandler } from "./handlers/evaluate.ts";
import { createEvaluateBatchHandler } from "./handlers/evaluate-batch.ts";
import { createEvaluateStreamHandler } from "./handlers/evaluate-stream.ts";
import { openDecisionLog } from "./open-decision-log.ts";
import { followPolicyDirectory } from "./policy-directory-source.ts";
import { createPolicyMetrics } from "./policy-metrics.ts";
import { usePolicyStore } from "./policy-store-source.ts";
import { openPolicyStores } from "./stores.ts";
import { evaluateCodec } from "./wire/evaluate-codec.ts";
import { streamCodec } from "./wire/stream-codec.ts";

/**
 * Puts policy-service together from its configuration.
 *
 * @throws ConfigError, CertificateError, SqliteOpenError, MigrationError, RedisUrlError
 */
export function createPolicyApp(config: PolicyConfig, logger: Logger): ServiceApp {
  if (config.profile === "demo")
    assertLoopback({ POLICY_GRPC_HOST: config.grpcHost, POLICY_HTTP_HOST: config.httpHost });
  if (config.policySource === "directory" && config.policyDir === "") {
    throw new ConfigError([`POLICY_DIR is required with POLICY_SOURCE=directory: ${policyFields.policyDir.doc}`]);
  }
  const readiness = createReadiness();
  const metrics = createMetrics({ service: "policy-service" });
  const tracer = openTracer(config, { service: "policy-service", metrics, logger });
  const tls = openTls(config, { peerPrefix: "AUTH", logger, metrics, readiness });
  const policyMetrics = createPolicyMetrics(metrics.registry);
  const check = readiness.add("policies");
  const { registry } = metrics;
  const stores = openPolicyStores({ ...config, logger, busObserver: createBusMetrics(registry) });
  const { dataDir } = config;
  const audit = openAudit({ service: "policy-service", settings: config, dataDir, bus: stores.bus, registry, logger });
  const control = createCedarControl();

  const policies = new ActivePolicies();
  const builtIn = loadAdminPolicies(control, adminActions);
  const turns = createTurns();
  const announcer = createBusAnnouncer(stores.bus, (error) =>
    logger.warn({ err: error }, "a change was not announced"),
  );
  const entities = new ResidentEntities({ repository: stores.entities, policies, announcer, turns });
  const shadow = new Shadow(policies, config.shadowCpuShare);
  const compile = createCompileSource(control);
  const lifecycle = new PolicyLifecycle({
    revisions: stores.revisions,
    entities,
    policies,
    shadow,
    announcer,
    turns,
    compile,
    followsDirectory: config.policySource === "directory",
    onActivated({ revision, engine }) {
      const counts = { policies: engine.policySet.policyIds.length, entities: engine.entities.size };
      policyMetrics.activated(revision, counts.policies);
      check.set(true, `revision ${revision}`);
      logger.info({ revision, ...counts }, "policies are active");
    },
    clock: Date.now,
    replica: `${hostname()}:${config.grpcPort}:${process.pid}`,
  });
  policyMetrics.observeShadow(shadow);
  policies.onChange(() => policyMetrics.entitiesChanged(policies.active?.engine.entities.size ?? 0, entities.revision));

  const decisionLog = openDecisionLog(config, stores.bus, audit.metrics, logger);
  const deciding = { policies, nextDecisionId: createDecisionIds(), observer: policyMetrics, shadow, decisionLog };
  const auth = config.authAddress === "" ? undefined : createAuthClient(config.authAddress, tls.client);
  const guard = createAdminGuard({
    authenticate: firstOf([
      ...(config.adminKey === "" ? [] : [createKeyAuthenticator(config.adminKey)]),
      ...(auth === undefined ? [] : [createRemoteAuthenticator(auth)]),
    ]),
    policies: builtIn,
  });

  const host = createHost({
    grpc: { host: config.grpcHost, port: config.grpcPort, env: "POLICY_GRPC_PORT" },
    http: { host: config.httpHost, port: config.httpPort, env: "POLICY_HTTP_PORT" },
    services: [
      serve(
        PolicyService,
        {
          evaluate: createEvaluateHandler({ ...deciding, stepUps: config.stepUps }),
          evaluateBatch: createEvaluateBatchHandler(deciding),
          evaluateStream: createEvaluateStreamHandler({
            ...deciding,
            maxInFlight: config.streamMaxInFlight,
            idleTimeoutMs: config.streamIdleTimeoutMs,
          }),
        },
        // A stream's frames are checked item by item: the fault of one must not end the stream.
        { evaluate: findViolations, evaluateStream: () => [] },
        { evaluate: evaluateCodec, evaluateStream: streamCodec },
      ),
      essential(
        serve(
          PolicyAdminService,
          createAdminHandlers({
            guard,
            audit: createAdminAudit(audit.changes, "policy"),
            compile,
            lifecycle,
            policies,
            entities,
          }),
        ),
      ),
    ],
    readiness,
    logger,
    metrics,
    tls: tls.server,
    tracer,
    limits: hostLimits(config),
  });

  const sourcing = { policies, lifecycle, check, metrics: policyMetrics, logger };
  const source =
    config.policySource === "directory"
      ? followPolicyDirectory({
          ...sourcing,
          directory: config.policyDir,
          strictForbid: !config.skipFailingForbids,
          control,
        })
      : usePolicyStore({
          ...sourcing,
          seedDirectory: config.policyDir,
          skipFailingForbids: config.skipFailingForbids,
          entities,
        });
  const changes = followChanges({ bus: stores.bus, lifecycle, entities, metrics: policyMetrics, logger });

  return {
    async start() {
      await audit.start();
      const ports = await host.start();
      policies.setBuiltIn(await builtIn);
      await source.firstLoad;
      return ports;
    },
    async stop() {
      await host.drain();
      await tracer?.close();
      source.close();
      await changes.close();
      auth?.close();
      tls.close();
      await control.close();
      await decisionLog?.close(1_000);
      await audit.close();
      await stores.close();
    },
  };
}

function createAuthClient(address: string, tls: ClientTls | undefined) {
  return createServiceClient(AuthService, {
    address,
    tls,
    target: "auth-service",
    unavailableReason: "AUTH_UNAVAILABLE",
    deadlineMs: 2_000,
  });
}
