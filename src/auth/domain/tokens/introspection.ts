import { type Awaitable, chain, chainAll } from "../../../shared/awaitable.ts";
import { apiKeyIdOf } from "../api-key-text.ts";
import type { ApiKeys } from "../api-keys.ts";
import type { ExternalIdentity } from "../external/external-identity.ts";
import type { Principal } from "../principal.ts";
import { isSessionOf, type PrincipalLookup } from "../principals.ts";
import type { Revocations } from "../revocations.ts";
import type { Session, Sessions } from "../sessions.ts";
import { looksLikeJwt } from "./access-tokens.ts";
import type { LiveTokens } from "./live-tokens.ts";
import type { RefreshFamilyStore } from "./refresh-families.ts";
import { parseRefreshToken, type RefreshToken } from "./refresh-token.ts";

/** What a token of ours says (RFC 7662 section 2.2). Times are milliseconds since the epoch. */
export interface TokenDescription {
  readonly use: "session" | "access_token" | "refresh_token" | "api_key";
  readonly principal: Principal;
  /** `jti` of an access token, id of an API key. */
  readonly tokenId?: string;
  readonly sessionId?: string;
  readonly clientId?: string;
  readonly scopes: readonly string[];
  readonly audiences: readonly string[];
  /** Methods of authentication (RFC 8176). */
  readonly amr: readonly string[];
  /** What another issuer said of the principal, of an access token that it was exchanged for. */
  readonly external?: ExternalIdentity;
  readonly issueTime: number;
  /** Undefined when it does not expire. */
  readonly expireTime?: number;
}

/** Describes a token that is good now; undefined when it is not, or when it is none of ours. */
export type Introspect = (text: string) => Awaitable<TokenDescription | undefined>;

export interface IntrospectionOptions {
  readonly liveTokens: LiveTokens;
  readonly families: RefreshFamilyStore;
  readonly sessions: Sessions;
  readonly principals: PrincipalLookup;
  readonly revocations: Revocations;
  readonly apiKeys: ApiKeys;
}

export function createIntrospection(options: IntrospectionOptions): Introspect {
  const { liveTokens, families, sessions, principals, revocations, apiKeys } = options;

  function describeAccessToken(text: string): Awaitable<TokenDescription | undefined> {
    return chain(liveTokens(text, false), (live) => {
      if (live === undefined) return undefined;
      const { id: tokenId, principalType: _, subject: __, ...token } = live.token;
      return { use: "access_token", principal: live.principal, tokenId, ...token };
    });
  }

  function describeSession(text: string): Awaitable<TokenDescription | undefined> {
    return withUser(sessions.find(text), (session, principal) => ({
      use: "session",
      principal,
      sessionId: session.id,
      scopes: [],
      audiences: [],
      amr: session.amr,
      issueTime: session.createTime,
      expireTime: session.idleExpireTime,
    }));
  }

  function describeRefreshToken(token: RefreshToken): Awaitable<TokenDescription | undefined> {
    return chain(families.find(token.partition, token.sessionId), (family) => {
      if (family?.seriesHash !== token.seriesHash || family.currentHash !== token.hash) return undefined;
      const { client, scopes, issueTime, sessionId } = family;
      return chainAll(
        [
          client === "" ? false : revocations.isClientRevoked(client, issueTime),
          client === "" ? undefined : principals("Client", client),
        ] as const,
        ([revoked, found]) => {
          if (revoked || (client !== "" && found === undefined)) return undefined;
          return withUser(sessions.findById(sessionId), (session, principal) => ({
            use: "refresh_token",
            principal,
            sessionId,
            ...(client === "" ? {} : { clientId: client }),
            scopes,
            audiences: [],
            amr: session.amr,
            issueTime,
            expireTime: session.idleExpireTime,
          }));
        },
      );
    });
  }

  function describeApiKey(text: string): Awaitable<TokenDescription | undefined> {
    return chain(apiKeys.find(text), (key) => {
      if (key === undefined) return undefined;
      const { id: tokenId, user, scopes, createTime: issueTime, expireTime } = key;
      return chain(principals("User", user), (known) => {
        if (known === undefined) return undefined;
        const { principal } = known;
        const described = { use: "api_key", principal, tokenId, scopes, audiences: [], amr: [], issueTime } as const;
        return expireTime === undefined ? described : { ...described, expireTime };
      });
    });
  }

  function withUser(
    session: Awaitable<Session | undefined>,
    describe: (session: Session, principal: Principal) => TokenDescription,
  ): Awaitable<TokenDescription | undefined> {
    return chain(session, (found) =>
      found === undefined
        ? undefined
        : chain(principals("User", found.user), (user) =>
            user !== undefined && isSessionOf(found, user) ? describe(found, user.principal) : undefined,
          ),
    );
  }

  return (text) => {
    if (apiKeyIdOf(text) !== undefined) return describeApiKey(text);
    if (looksLikeJwt(text)) return describeAccessToken(text);
    const refreshToken = parseRefreshToken(text);
    return refreshToken === undefined ? describeSession(text) : describeRefreshToken(refreshToken);
  };
}
