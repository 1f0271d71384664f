import type { Logger } from "pino";
import type { Metrics } from "../shared/metrics/metrics.ts";
import { createIssuerKeySource } from "./adapters/issuer-key-source.ts";
import type { Clock } from "./domain/clock.ts";
import type { Verifiers } from "./domain/credentials/authenticator.ts";
import { createExternalTokenVerifier } from "./domain/credentials/external-token.ts";
import { createPeerVerifier } from "./domain/credentials/peer.ts";
import { createClaimMapper, type SubjectMapper } from "./domain/external/claim-mapping.ts";
import { createExternalTokens, type ExternalIssuer } from "./domain/external/external-tokens.ts";
import { createIssuerKeys } from "./domain/external/issuer-keys.ts";
import { createServiceAccountMapper } from "./domain/external/service-account.ts";
import type { PrincipalLookup } from "./domain/principals.ts";
import type { Revocations } from "./domain/revocations.ts";
import { createIssuerMetrics } from "./external-metrics.ts";
import type { ExternalSettings } from "./external-settings.ts";
import { IssuersError, readIssuers } from "./issuers/issuers-file.ts";
import type { IssuerEntry, PrincipalEntry } from "./issuers/issuers-schema.ts";
import type { SignInSettings } from "./sign-in-config.ts";
import type { TokenSettings } from "./token-settings.ts";

export interface ExternalIdentitiesOptions {
  readonly config: ExternalSettings & Pick<SignInSettings, "trustedProxies"> & Pick<TokenSettings, "tokenCacheSize">;
  /** `iss` of this service; empty when it issues none. */
  readonly ownIssuer: string;
  readonly principals: PrincipalLookup;
  readonly revocations: Revocations;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** What others vouch for: issuers of tokens, and certificates of workloads. */
export interface ExternalIdentities {
  /** Those of what is configured. */
  readonly verifiers: Pick<Verifiers, "externalToken" | "peer">;
  /** Fetches the keys of the issuers, from now on. Does not wait: an issuer that is away is no reason not to start. */
  start(): void;
  stop(): void;
}

/** @throws IssuersError */
export function createExternalIdentities(options: ExternalIdentitiesOptions): ExternalIdentities {
  const { config, ownIssuer, principals, revocations, clock, logger, metrics } = options;
  const count = createIssuerMetrics(metrics.registry);
  const entries = config.issuers === "" ? [] : readIssuers(config.issuers);
  if (entries.some(({ issuer }) => issuer === ownIssuer)) {
    throw new IssuersError(config.issuers, [`${ownIssuer} is this service itself`]);
  }

  function createIssuer(entry: IssuerEntry): ExternalIssuer {
    const { issuer: name, audience, algorithms, tokenType, maxTokenAge, clockSkew, jwksUri, caFile, tokenFile } = entry;
    const { refresh, maxAge, cooldown, timeout: timeoutMs } = entry.keys;
    const [first, ...others] = audience;
    // The form of the file has it so; a token for nobody in particular is never accepted.
    if (first === undefined) throw new Error("an issuer has no audience");
    let reachable = true;
    return {
      name,
      audiences: [first, ...others],
      algorithms,
      ...(tokenType === undefined ? {} : { tokenType }),
      maxAgeMs: maxTokenAge,
      skewMs: clockSkew,
      keys: createIssuerKeys({
        source: createIssuerKeySource({ issuer: name, jwksUri, caFile, tokenFile, timeoutMs }),
        times: { refreshMs: refresh, maxAgeMs: maxAge, cooldownMs: cooldown },
        clock,
        onRefresh(error) {
          count(name, error === undefined ? "ok" : "failed");
          if (error !== undefined) logger.warn({ err: error, issuer: name }, "the keys of an issuer cannot be fetched");
          else if (!reachable) logger.info({ issuer: name }, "the keys of an issuer can be fetched again");
          reachable = error === undefined;
        },
      }),
      subjectOf: subjectMapperOf(entry),
    };
  }

  const issuers = entries.map(createIssuer);
  const tokens = createExternalTokens({
    issuers,
    clock,
    cacheSize: config.tokenCacheSize,
    observer: metrics.cache("external_tokens"),
  });
  const { peerTrustDomains: trustDomains, peerGateways: gateways, trustedProxies: isTrustedProxy } = config;
  return {
    verifiers: {
      ...(issuers.length === 0
        ? {}
        : {
            externalToken: createExternalTokenVerifier({
              tokens,
              principals,
              isRevoked: ({ type, id }, issueTime) =>
                revocations.isSubjectRevoked(type === "Client" ? "client" : "user", id, issueTime),
            }),
          }),
      ...(trustDomains.length === 0 ? {} : { peer: createPeerVerifier({ trustDomains, gateways, isTrustedProxy }) }),
    },
    start() {
      for (const { keys } of issuers) keys.start();
    },
    stop() {
      for (const { keys } of issuers) keys.stop();
    },
  };
}

function subjectMapperOf({ issuer, principal, kubernetes }: IssuerEntry): SubjectMapper {
  if (kubernetes !== undefined) return createServiceAccountMapper(issuer, kubernetes);
  if (principal === undefined) throw new Error("an issuer has no mapping of its claims");
  return createClaimMapper(issuer, claimMappingOf(principal));
}

function claimMappingOf({ type, id, roles, attributes, amr }: PrincipalEntry) {
  return {
    type,
    id: id.claim,
    idPrefix: id.prefix,
    ...(roles === undefined ? {} : { roles: { ...roles, names: new Map(Object.entries(roles.names)) } }),
    ...(attributes === undefined ? {} : { attributes: new Map(Object.entries(attributes)) }),
    ...(amr === undefined ? {} : { amr }),
  };
}
