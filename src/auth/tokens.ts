import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import { ConfigError } from "../shared/config/config.ts";
import type { Metrics } from "../shared/metrics/metrics.ts";
import type { Route } from "../shared/rpc/edge/routes.ts";
import { ServiceError } from "../shared/service-error.ts";
import { createBusRevocationFeed } from "./adapters/bus-revocation-feed.ts";
import type { AuthConfig } from "./config.ts";
import type { ApiKeys } from "./domain/api-keys.ts";
import type { Clock } from "./domain/clock.ts";
import type { Authenticator } from "./domain/credentials/authenticator.ts";
import { createAccessTokenVerifier, createBearerTokenVerifier } from "./domain/credentials/bearer-token.ts";
import { createClientVerifier } from "./domain/credentials/client-secret.ts";
import type { Verifier } from "./domain/credentials/credential.ts";
import { createClientAuthenticator } from "./domain/oauth/client-authenticator.ts";
import { createGrants } from "./domain/oauth/grants.ts";
import { createPrincipalLookup, type PrincipalLookup } from "./domain/principals.ts";
import type { RevocationFeed } from "./domain/revocation-feed.ts";
import { type Announce, createRevocations, type Revocations } from "./domain/revocations.ts";
import { createSecretBox } from "./domain/secret-box.ts";
import type { Sessions } from "./domain/sessions.ts";
import { type AccessTokens, createAccessTokens } from "./domain/tokens/access-tokens.ts";
import { createIntrospection, type Introspect } from "./domain/tokens/introspection.ts";
import { createKeyRing, type KeyRing } from "./domain/tokens/key-ring.ts";
import { createLiveTokens } from "./domain/tokens/live-tokens.ts";
import { createTokenIssuer, type TokenIssuer } from "./domain/tokens/token-issuer.ts";
import { encryptionKeysOf } from "./encryption-keys.ts";
import { followRevocations } from "./follow-revocations.ts";
import { paths } from "./oauth/metadata.ts";
import { oauthRoutes } from "./oauth/routes.ts";
import { createTokenEndpoint } from "./oauth/token-endpoint.ts";
import { createRevocationMetrics } from "./revocation-metrics.ts";
import type { Stores } from "./stores.ts";
import { createTokenMetrics } from "./token-metrics.ts";
import { largestSkewMs, longestAccessTokenMs } from "./token-settings.ts";

/** How often each replica reads the signing keys anew, in milliseconds. */
const tendIntervalMs = 30_000;
/** How long keys and revocations outlive the tokens they are for, in milliseconds. */
const retentionMs = longestAccessTokenMs + 2 * largestSkewMs;
/** Longest time that the JWKS may be cached, in seconds. */
const longestMaxAgeSeconds = 300;

export interface TokensOptions {
  readonly config: AuthConfig;
  readonly stores: Stores;
  readonly sessions: Sessions;
  readonly apiKeys: ApiKeys;
  /** Verifies session tokens. */
  readonly sessionToken: Verifier<"bearerToken">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** All that has to do with tokens, put together. Without an issuer, there are session tokens only. */
export interface Tokens {
  /** Verifies session tokens and access tokens. */
  readonly bearerToken: Verifier<"bearerToken">;
  /** Verifies OAuth clients by their secrets. */
  readonly client: Verifier<"client">;
  readonly introspect: Introspect;
  readonly principals: PrincipalLookup;
  readonly revocations: Revocations;
  readonly feed: RevocationFeed;
  /** `iss`; empty when no tokens are issued. */
  readonly issuerName: string;
  /** Undefined when no tokens are issued. */
  readonly issuer: TokenIssuer | undefined;
  readonly keys: KeyRing | undefined;
  /** The OAuth edge; without routes when no tokens are issued. */
  routes(authenticate: Authenticator): Route[];
  /**
   * Follows revocations, and reads or makes the signing keys and tends them, from now on. A store that cannot be reached yet
   * is not an error.
   *
   * @throws SecretBoxError when a key was encrypted by another than those that are configured.
   */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** @throws ConfigError when there is an issuer but no encryption key. */
export function createTokens(options: TokensOptions): Tokens {
  const { config, stores, sessions, apiKeys, sessionToken, clock, logger, metrics } = options;
  const issuing = createIssuing(config, stores, clock, metrics);
  const tokenMetrics = createTokenMetrics(metrics.registry);
  const revocationMetrics = createRevocationMetrics(metrics.registry);
  const feed = createBusRevocationFeed({
    bus: stores.bus,
    retentionMs,
    forget(announced) {
      issuing?.accessTokens.forget(announced?.revocation);
      if (announced !== undefined) revocationMetrics.applied(clock() - announced.time);
    },
    onGap: revocationMetrics.missed,
    logger,
  });
  revocationMetrics.watch(feed);
  const announce: Announce = async (begun) => {
    // Here at once, there when it arrives.
    issuing?.accessTokens.forget(begun.revocation);
    const position = await feed.announce(begun);
    tokenMetrics.revoked(begun.revocation.kind);
    return position;
  };
  const { refreshFamilies: families, clients } = stores;
  const revocations = createRevocations({
    store: stores.revocations,
    sessions,
    families,
    apiKeys,
    journal: stores.revocationJournal,
    announce,
    clock,
    retentionMs,
  });
  const principals = createPrincipalLookup(stores.identities, clients);
  const liveTokens =
    issuing === undefined
      ? () => undefined
      : createLiveTokens({ tokens: issuing.accessTokens, sessions, revocations, principals });
  const introspect = createIntrospection({ liveTokens, families, sessions, principals, revocations, apiKeys });
  const accessToken = createAccessTokenVerifier(liveTokens, config.tokenAudience);
  const issuer =
    issuing &&
    createTokenIssuer({
      tokens: issuing.accessTokens,
      families,
      sessions,
      clients,
      principals,
      revocations,
      clock,
      random: randomBytes,
      graceMs: config.refreshGraceMs,
      userScopes: config.userScopes,
      onRefresh(outcome, sessionId) {
        tokenMetrics.refreshed(outcome);
        if (outcome === "reused") logger.warn({ sessionId }, "a spent refresh token was used: its session ends");
      },
    });
  const issuerName = issuing?.accessTokens.issuer ?? "";
  const authenticateClient = createClientAuthenticator({
    clients,
    audiences: issuerName === "" ? [] : [issuerName, issuerName + paths.token],
    clock,
    skewMs: config.tokenClockSkewMs,
  });
  let timer: NodeJS.Timeout | undefined;
  let following: { close(): Promise<void> } | undefined;

  async function tend(keys: KeyRing): Promise<void> {
    try {
      await keys.tend();
    } catch (error) {
      logger.warn({ err: error }, "the signing keys cannot be read");
    }
  }

  return {
    bearerToken: createBearerTokenVerifier(sessionToken, accessToken),
    client: createClientVerifier(authenticateClient),
    introspect,
    principals,
    revocations,
    feed,
    issuerName,
    issuer,
    keys: issuing?.keys,
    routes(authenticate) {
      if (issuing === undefined || issuer === undefined) return [];
      const { accessTokens: tokens, keys } = issuing;
      const grants = createGrants({ tokens, issuer, introspect, authenticate });
      return oauthRoutes({
        issuer: tokens.issuer,
        scopes: config.userScopes,
        keys,
        authenticateClient,
        token: createTokenEndpoint({ grants, issuer, clock }),
        introspect,
        revocations,
        logger,
        maxAgeSeconds: Math.min(longestMaxAgeSeconds, Math.floor(config.signingKeyLeadMs / 2_000)),
      });
    },
    async start() {
      following = followRevocations({ feed, revocations, metrics: revocationMetrics, logger });
      if (issuing === undefined) {
        logger.warn("no access tokens are issued: AUTH_ISSUER is not set");
        return;
      }
      const { keys } = issuing;
      await keys.tend().catch((error: unknown) => {
        if (!(error instanceof ServiceError)) throw error;
      });
      timer = setInterval(() => void tend(keys), tendIntervalMs).unref();
    },
    async stop() {
      clearInterval(timer);
      await following?.close();
    },
  };
}

function demoIssuer({ httpHost, httpPort }: AuthConfig): string {
  return `http://${httpHost.includes(":") ? `[${httpHost.replace(/[[\]]/g, "")}]` : httpHost}:${httpPort}`;
}

interface Issuing {
  readonly keys: KeyRing;
  readonly accessTokens: AccessTokens;
}

function createIssuing(
  config: AuthConfig,
  { signingKeys: store }: Stores,
  clock: Clock,
  metrics: Metrics,
): Issuing | undefined {
  const demo = config.profile === "demo";
  const issuer = config.issuer || (demo ? demoIssuer(config) : "");
  if (issuer === "") return undefined;
  const encryptionKeys = encryptionKeysOf(config);
  if (encryptionKeys.length === 0) throw new ConfigError(["AUTH_ENCRYPTION_KEY is required with AUTH_ISSUER"]);
  const keys = createKeyRing({
    store,
    box: createSecretBox(encryptionKeys, randomBytes),
    clock,
    algorithm: config.signingAlgorithm,
    rotationMs: config.signingKeyRotationMs,
    leadMs: config.signingKeyLeadMs,
    retentionMs,
  });
  const accessTokens = createAccessTokens({
    keys,
    issuer,
    audience: config.tokenAudience,
    ttlMs: config.accessTokenTtlMs,
    skewMs: config.tokenClockSkewMs,
    clock,
    random: randomBytes,
    cacheSize: config.tokenCacheSize,
    observer: metrics.cache("access_tokens"),
  });
  return { keys, accessTokens };
}
