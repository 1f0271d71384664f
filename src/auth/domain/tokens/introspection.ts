import { type Awaitable, chain, chainAll } from "../../../shared/awaitable.ts";
import type { Principal } from "../principal.ts";
import type { PrincipalLookup } from "../principals.ts";
import type { Revocations } from "../revocations.ts";
import type { Session, Sessions } from "../sessions.ts";
import { looksLikeJwt } from "./access-tokens.ts";
import type { LiveTokens } from "./live-tokens.ts";
import type { RefreshFamilyStore } from "./refresh-families.ts";
import { parseRefreshToken, type RefreshToken } from "./refresh-token.ts";

/** What a token of ours says (RFC 7662 section 2.2). Times are milliseconds since the epoch. */
export interface TokenDescription {
  readonly use: "session" | "access_token" | "refresh_token";
  readonly principal: Principal;
  /** `jti` of an access token. */
  readonly tokenId?: string;
  readonly sessionId?: string;
  readonly clientId?: string;
  readonly scopes: readonly string[];
  readonly audiences: readonly string[];
  /** Methods of authentication (RFC 8176). */
  readonly amr: readonly string[];
  readonly issueTime: number;
  readonly expireTime: number;
}

/** Describes a token that is good now, without using it; undefined when it is not, or when it is none of ours. */
export type Introspect = (text: string) => Awaitable<TokenDescription | undefined>;

export interface IntrospectionOptions {
  readonly liveTokens: LiveTokens;
  readonly families: RefreshFamilyStore;
  readonly sessions: Sessions;
  readonly principals: PrincipalLookup;
  readonly revocations: Revocations;
}

export function createIntrospection(options: IntrospectionOptions): Introspect {
  const { liveTokens, families, sessions, principals, revocations } = options;

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

  function withUser(
    session: Awaitable<Session | undefined>,
    describe: (session: Session, principal: Principal) => TokenDescription,
  ): Awaitable<TokenDescription | undefined> {
    return chain(session, (found) =>
      found === undefined
        ? undefined
        : chain(principals("User", found.user), (principal) => principal && describe(found, principal)),
    );
  }

  return (text) => {
    if (looksLikeJwt(text)) return describeAccessToken(text);
    const refreshToken = parseRefreshToken(text);
    return refreshToken === undefined ? describeSession(text) : describeRefreshToken(refreshToken);
  };
}
