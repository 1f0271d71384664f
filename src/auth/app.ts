import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import type { Logger } from "pino";
import { Authorization } from "../../gen/envoy/service/auth/v3/external_auth_pb.ts";
import { AuthService } from "../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { IdentityService } from "../../gen/gatehouse/auth/v1/identity_service_pb.ts";
import { SecondFactorService } from "../../gen/gatehouse/auth/v1/second_factor_service_pb.ts";
import { PolicyService } from "../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { createAdminAudit } from "../shared/audit/admin-audit.ts";
import { openAudit } from "../shared/audit/open-audit.ts";
import { createBusMetrics } from "../shared/bus/bus-metrics.ts";
import type { ClientTls } from "../shared/client/channel.ts";
import { createDecisionClient } from "../shared/client/decisions/decision-client.ts";
import { createServiceClient, type ServiceClientOptions } from "../shared/client/service-client.ts";
import { assertLoopback } from "../shared/config/demo-profile.ts";
import { hostLimits } from "../shared/config/host-settings.ts";
import { createReadiness } from "../shared/lifecycle/readiness.ts";
import type { ServiceApp } from "../shared/lifecycle/run-service.ts";
import { createMetrics } from "../shared/metrics/metrics.ts";
import { essential, serve } from "../shared/rpc/handler.ts";
import { createHost } from "../shared/rpc/host.ts";
import { openTls } from "../shared/tls/open-tls.ts";
import { openTracer } from "../shared/tracing/open-tracer.ts";
import { makePoolGiveWay } from "./adapters/give-way.ts";
import { nodeArgon2 } from "./adapters/node-argon2.ts";
import { createPolicyDecisions, createPolicyStepUps } from "./adapters/policy-decisions.ts";
import { auditAuthentications } from "./audit-authentications.ts";
import { bootstrapWhenReady } from "./bootstrap.ts";
import { createCheck } from "./check-app.ts";
import type { AuthConfig } from "./config.ts";
import { seedDemo } from "./demo.ts";
import { createApiKeys } from "./domain/api-keys.ts";
import { createAccessDecider, createAuthorizer } from "./domain/authorizer.ts";
import { createClientAdmin } from "./domain/client-admin.ts";
import { clientNetwork } from "./domain/client-network.ts";
import type { Clock } from "./domain/clock.ts";
import { createApiKeyVerifier } from "./domain/credentials/api-key.ts";
import { createAuthenticator } from "./domain/credentials/authenticator.ts";
import type { Attempt } from "./domain/credentials/credential.ts";
import { createPasswordVerifier } from "./domain/credentials/password.ts";
import { createSessionTokenVerifier } from "./domain/credentials/session-token.ts";
import { createLockout } from "./domain/lockout.ts";
import { createPasswords } from "./domain/passwords.ts";
import { createSecondFactors } from "./domain/second-factors.ts";
import { createSecretBox, type SecretBox } from "./domain/secret-box.ts";
import { createSessions } from "./domain/sessions.ts";
import { createUsers } from "./domain/users.ts";
import { createWorkQueue } from "./domain/work-queue.ts";
import { encryptionKeysOf } from "./encryption-keys.ts";
import { policyUnavailableReason } from "./errors.ts";
import { createExternalIdentities } from "./external-app.ts";
import { createGuard, guarded } from "./guard.ts";
import { createAuthenticateHandler } from "./handlers/authenticate.ts";
import { createAuthorizeHandler } from "./handlers/authorize.ts";
import { createIntrospectHandler } from "./handlers/introspect.ts";
import { createListSessionsHandler } from "./handlers/list-sessions.ts";
import { createApiKeyHandlers } from "./handlers/manage-api-keys.ts";
import { createClientHandlers } from "./handlers/manage-clients.ts";
import { createKeyHandlers } from "./handlers/manage-keys.ts";
import { createSignInHandlers } from "./handlers/manage-sign-in.ts";
import { createUserHandlers } from "./handlers/manage-users.ts";
import { createRefreshHandler } from "./handlers/refresh.ts";
import { createRevokeHandler } from "./handlers/revoke.ts";
import { createSecondFactorHandlers } from "./handlers/second-factors.ts";
import { createSessionCaller } from "./handlers/session-caller.ts";
import { createWaitForRevocationHandler } from "./handlers/wait-for-revocation.ts";
import { createWatchRevocationsHandler } from "./handlers/watch-revocations.ts";
import { observeLockout } from "./lockout-metrics.ts";
import { lockoutRules } from "./sign-in-config.ts";
import { countSignIns, observeSignIns } from "./sign-in-metrics.ts";
import { openStores } from "./stores.ts";
import { createTokens } from "./tokens.ts";
import { traceAuthentication } from "./trace-authentication.ts";

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
  const tracer = openTracer(config, { service: "auth-service", metrics, logger });
  const tls = openTls(config, { peerPrefix: "POLICY", logger, metrics, readiness });

  const { registry } = metrics;
  const busObserver = createBusMetrics(registry);
  const stores = openStores({ ...config, logger, check: readiness.add("store"), clock, busObserver });
  const { dataDir } = config;
  const audit = openAudit({ service: "auth-service", settings: config, dataDir, bus: stores.bus, registry, logger });
  const auditAdmin = createAdminAudit(audit.changes, "auth");
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
    onCrowdedOut: (sessionId) => tokens.revocations.revoke({ kind: "session", sessionId }),
  });
  const { identities } = stores;
  const lockout = createLockout({
    store: stores.lockout,
    clock,
    rules: lockoutRules(config),
    observer: observeLockout(metrics.registry),
  });
  const secondFactors = createSecondFactors({
    store: stores.secondFactors,
    secretBox: createConfiguredSecretBox(config),
    clock,
    random: randomBytes,
    issuer: config.secondFactorIssuer,
  });
  const networkOf = (attempt: Attempt): string | undefined => clientNetwork(attempt, config.trustedProxies);
  const verifyPassword = createPasswordVerifier({ identities, passwords, secondFactors, sessions, lockout, networkOf });
  const sessionToken = createSessionTokenVerifier({ identities, sessions });
  const apiKeys = createApiKeys({ store: stores.apiKeys, clock, random: randomBytes });
  const tokens = createTokens({ config, stores, sessions, apiKeys, sessionToken, clock, logger, metrics });
  const { issuer, introspect, revocations, feed } = tokens;
  const endSessions = (user: string): Promise<string> => revocations.revoke({ kind: "user", user });
  const externals = createExternalIdentities({
    config,
    ownIssuer: tokens.issuerName,
    principals: tokens.principals,
    revocations,
    clock,
    logger,
    metrics,
  });
  const clients = createClientAdmin({
    store: stores.clients,
    clock,
    random: randomBytes,
    revokeTokens: (client) => revocations.revoke({ kind: "client", client }),
  });
  const users = createUsers({
    identities,
    passwords,
    clock,
    endSessions,
    removeSecondFactors: (user) => secondFactors.remove(user),
  });
  const verify = traceAuthentication(
    tracer,
    createAuthenticator({
      password: countSignIns(metrics.registry, verifyPassword),
      bearerToken: tokens.bearerToken,
      client: tokens.client,
      apiKey: createApiKeyVerifier({ identities, apiKeys }),
      ...externals.verifiers,
    }),
  );
  const { auditTokenChecks: tokenChecks } = config;
  const authenticate = auditAuthentications(verify, { recorder: audit.authentications, identities, tokenChecks });

  const policyOptions = { ...policyClientOptions(config, tls.client), tracer };
  const policy = createDecisionClient({ ...policyOptions, observer: { breakerState: metrics.breakerState } });
  // A stream of decisions carries no explanations; these are calls of their own.
  // Few at once, so that a flood of denials takes nothing from decisions.
  const explainer = createServiceClient(PolicyService, {
    ...policyOptions,
    maxRetries: 0,
    maxConcurrent: 20,
    maxQueued: 0,
  });
  const decide = createPolicyDecisions(policy, config.policyTimeoutMs);
  const guard = createGuard({ authenticate, decide, retryAfterMs: config.policyTimeoutMs });
  const deciding = {
    decide,
    findStepUps: createPolicyStepUps(explainer),
    sendRoles: config.authorizeSendRoles,
    contextMfa: config.authorizeContextMfa,
  };
  const authorize = createAuthorizer({ authenticate, ...deciding });
  const check = createCheck({
    mappingPath: config.checkMapping,
    authenticate,
    decideAccess: createAccessDecider(deciding),
    registry: metrics.registry,
    logger,
  });

  const host = createHost({
    grpc: { host: config.grpcHost, port: config.grpcPort, env: "AUTH_GRPC_PORT" },
    http: { host: config.httpHost, port: config.httpPort, env: "AUTH_HTTP_PORT" },
    services: [
      serve(AuthService, {
        authenticate: createAuthenticateHandler(authenticate, issuer),
        authorize: createAuthorizeHandler(authorize),
        ...(issuer === undefined ? {} : { refresh: createRefreshHandler(issuer) }),
        introspect: createIntrospectHandler(introspect, tokens.issuerName),
        listSessions: createListSessionsHandler(authenticate, sessions),
        revoke: createRevokeHandler({ revocations, introspect, guard, audit: auditAdmin }),
        waitForRevocation: createWaitForRevocationHandler(feed),
        watchRevocations: createWatchRevocationsHandler(feed, guard),
      }),
      // Its contract, which is Envoy's, has no annotations to validate by.
      serve(Authorization, { check: check.handler }, { check: () => [] }),
      serve(
        SecondFactorService,
        createSecondFactorHandlers({
          secondFactors,
          caller: createSessionCaller({ verify: sessionToken, clock, recentMs: config.secondFactorSignInAgeMs }),
          lockout,
          networkOf,
        }),
      ),
      essential(
        serve(
          IdentityService,
          guarded(IdentityService, guard, auditAdmin, {
            ...createUserHandlers(users, sessions),
            ...createSignInHandlers(users, lockout),
            ...createApiKeyHandlers({ apiKeys, users, revocations, clock }),
            ...createClientHandlers(clients),
            ...createKeyHandlers(tokens.keys),
          }),
        ),
      ),
    ],
    routes: tokens.routes(authenticate),
    readiness,
    logger,
    metrics,
    tls: tls.server,
    tracer,
    limits: hostLimits(config),
  });

  const stopping = new AbortController();
  let bootstrapped: Promise<void> | undefined;
  const announce = overrides.announce ?? ((text) => void process.stdout.write(text));

  return {
    async start() {
      await makePoolGiveWay();
      await audit.start();
      if (config.profile === "demo") {
        await stores.ready(AbortSignal.timeout(5_000));
        await seedDemo(identities, passwords, clock());
      } else {
        const { ready } = stores;
        const { signal } = stopping;
        bootstrapped = bootstrapWhenReady({ identities, apiKeys, clock, announce, ready, logger, signal });
      }
      externals.start();
      await tokens.start();
      return await host.start();
    },
    async stop() {
      stopping.abort();
      await host.drain();
      await tracer?.close();
      await tokens.stop();
      externals.stop();
      check.close();
      await bootstrapped;
      policy.close();
      explainer.close();
      tls.close();
      await audit.close();
      await stores.close();
    },
  };
}

function createConfiguredSecretBox(config: AuthConfig): SecretBox | undefined {
  const keys = encryptionKeysOf(config);
  return keys.length === 0 ? undefined : createSecretBox(keys, randomBytes);
}

function argon2Parameters(config: AuthConfig) {
  const { argon2MemoryKib: memoryKib, argon2Passes: passes, argon2Parallelism: parallelism } = config;
  return { memoryKib, passes, parallelism };
}

function policyClientOptions(config: AuthConfig, tls: ClientTls | undefined): ServiceClientOptions {
  return {
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
  };
}
