import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import type { Logger } from "pino";
import { AuthService } from "../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { IdentityService } from "../../gen/gatehouse/auth/v1/identity_service_pb.ts";
import type { ClientTls } from "../shared/client/channel.ts";
import type { DecisionClient } from "../shared/client/decisions/decision.ts";
import { createDecisionClient } from "../shared/client/decisions/decision-client.ts";
import { assertLoopback } from "../shared/config/demo-profile.ts";
import { hostLimits } from "../shared/config/host-settings.ts";
import { createReadiness } from "../shared/lifecycle/readiness.ts";
import type { ServiceApp } from "../shared/lifecycle/run-service.ts";
import { createMetrics, type Metrics } from "../shared/metrics/metrics.ts";
import { serve } from "../shared/rpc/handler.ts";
import { createHost } from "../shared/rpc/host.ts";
import { openTls } from "../shared/tls/open-tls.ts";
import { nodeArgon2 } from "./adapters/node-argon2.ts";
import { createPolicyDecisions } from "./adapters/policy-decisions.ts";
import { bootstrapWhenReady } from "./bootstrap.ts";
import type { AuthConfig } from "./config.ts";
import { seedDemo } from "./demo.ts";
import { createApiKeys } from "./domain/api-keys.ts";
import { createAuthorizer } from "./domain/authorizer.ts";
import type { Clock } from "./domain/clock.ts";
import { createApiKeyVerifier } from "./domain/credentials/api-key.ts";
import { createAuthenticator } from "./domain/credentials/authenticator.ts";
import { createPasswordVerifier } from "./domain/credentials/password.ts";
import { createSessionTokenVerifier } from "./domain/credentials/session-token.ts";
import { createPasswords } from "./domain/passwords.ts";
import { createSessions } from "./domain/sessions.ts";
import { createUsers } from "./domain/users.ts";
import { createWorkQueue } from "./domain/work-queue.ts";
import { policyUnavailableReason } from "./errors.ts";
import { createGuard, guarded } from "./guard.ts";
import { createAuthenticateHandler } from "./handlers/authenticate.ts";
import { createAuthorizeHandler } from "./handlers/authorize.ts";
import { createApiKeyHandlers } from "./handlers/manage-api-keys.ts";
import { createUserHandlers } from "./handlers/manage-users.ts";
import { observeSignIns } from "./sign-in-metrics.ts";
import { openStores } from "./stores.ts";

/** Parts that can be replaced. */
export interface AuthAppOverrides {
  readonly clock?: Clock;
  /** Shows a text to whoever starts the service. Default: writes it to standard output. */
  readonly announce?: (text: string) => void;
}

/**
 * Puts auth-service together from its configuration.
 *
 * @throws ConfigError, CertificateError, SqliteOpenError, MigrationError, RedisUrlError
 */
export function createAuthApp(config: AuthConfig, logger: Logger, overrides: AuthAppOverrides = {}): ServiceApp {
  if (config.profile === "demo") assertLoopback({ AUTH_GRPC_HOST: config.grpcHost, AUTH_HTTP_HOST: config.httpHost });
  const clock = overrides.clock ?? Date.now;
  const readiness = createReadiness();
  const metrics = createMetrics({ service: "auth-service" });
  const tls = openTls(config, { peerPrefix: "POLICY", logger, metrics, readiness });

  const stores = openStores({ ...config, logger, check: readiness.add("store") });
  const queue = createWorkQueue({
    concurrency: config.argon2Concurrency || Math.min(3, Math.max(1, availableParallelism() - 1)),
    maxQueued: config.argon2Queue,
    expectedMs: 20,
  });
  observeSignIns(metrics.registry, queue);
  const passwords = createPasswords({
    argon2: nodeArgon2,
    parameters: argon2Parameters(config),
    queue,
    random: randomBytes,
  });
  const sessions = createSessions({
    store: stores.sessions,
    clock,
    random: randomBytes,
    idleTimeoutMs: config.sessionIdleTimeoutMs,
    maxAgeMs: config.sessionMaxAgeMs,
    limit: config.sessionLimit,
  });
  const { identities } = stores;
  const apiKeys = createApiKeys({ store: stores.apiKeys, clock, random: randomBytes });
  const users = createUsers({ identities, passwords, clock, endSessions: (user) => sessions.endAll(user) });
  const authenticate = createAuthenticator({
    password: createPasswordVerifier({ identities, passwords, sessions }),
    bearerToken: createSessionTokenVerifier({ identities, sessions }),
    apiKey: createApiKeyVerifier({ identities, apiKeys }),
  });

  const policy = createPolicyClient(config, metrics, tls.client);
  const decide = createPolicyDecisions(policy, config.policyTimeoutMs);
  const guard = createGuard({ authenticate, decide, retryAfterMs: config.policyTimeoutMs });
  const authorize = createAuthorizer({
    authenticate,
    decide,
    sendRoles: config.authorizeSendRoles,
    contextMfa: config.authorizeContextMfa,
  });

  const host = createHost({
    grpc: { host: config.grpcHost, port: config.grpcPort, env: "AUTH_GRPC_PORT" },
    http: { host: config.httpHost, port: config.httpPort, env: "AUTH_HTTP_PORT" },
    services: [
      serve(AuthService, {
        authenticate: createAuthenticateHandler(authenticate),
        authorize: createAuthorizeHandler(authorize),
      }),
      serve(
        IdentityService,
        guarded(guard, { ...createUserHandlers(users, sessions), ...createApiKeyHandlers(apiKeys, users, clock) }),
      ),
    ],
    readiness,
    logger,
    metrics,
    tls: tls.server,
    limits: hostLimits(config),
  });

  const stopping = new AbortController();
  let bootstrapped: Promise<void> | undefined;
  const announce = overrides.announce ?? ((text) => void process.stdout.write(text));

  return {
    async start() {
      if (config.profile === "demo") {
        await stores.ready(AbortSignal.timeout(5_000));
        await seedDemo(identities, passwords, clock());
      } else {
        const { ready } = stores;
        const { signal } = stopping;
        bootstrapped = bootstrapWhenReady({ identities, apiKeys, clock, announce, ready, logger, signal });
      }
      return await host.start();
    },
    async stop() {
      stopping.abort();
      await host.drain();
      await bootstrapped;
      policy.close();
      tls.close();
      await stores.close();
    },
  };
}

function argon2Parameters(config: AuthConfig) {
  const { argon2MemoryKib: memoryKib, argon2Passes: passes, argon2Parallelism: parallelism } = config;
  return { memoryKib, passes, parallelism };
}

function createPolicyClient(config: AuthConfig, metrics: Metrics, tls: ClientTls | undefined): DecisionClient {
  return createDecisionClient({
    address: config.policyAddress,
    tls,
    target: "policy-service",
    unavailableReason: policyUnavailableReason,
    deadlineMs: config.policyTimeoutMs,
    // Enough to carry the answer back before the caller gives up.
    reserveMs: 5,
    breaker: { consecutiveFailures: config.policyBreakerFailures },
    recoveryMs: config.policyBreakerRecoveryMs,
    maxConcurrent: config.policyMaxConcurrent,
    maxQueued: config.policyMaxConcurrent,
    observer: { breakerState: metrics.breakerState },
  });
}
