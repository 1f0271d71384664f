import { notAuthenticated, scopeNotAllowed } from "../../errors.ts";
import type { ClientStore, OAuthClient } from "../clients.ts";
import type { Clock, RandomBytes } from "../clock.ts";
import type { Authentication } from "../credentials/credential.ts";
import type { Principal } from "../principal.ts";
import { isSessionOf, type PrincipalLookup } from "../principals.ts";
import type { Revocations } from "../revocations.ts";
import type { Session, Sessions } from "../sessions.ts";
import type { AccessTokenGrant, AccessTokens, IssuedAccessToken } from "./access-tokens.ts";
import type { RefreshFamilyStore, RefreshOutcome } from "./refresh-families.ts";
import {
  newRefreshToken,
  openSuccessor,
  parseRefreshToken,
  type RefreshToken,
  sealSuccessor,
  successorOf,
} from "./refresh-token.ts";
import { grantedScopes } from "./scopes.ts";

/** Tokens as their holder gets them. */
export interface TokenSet {
  /** Secret. */
  readonly accessToken: string;
  /** When the access token was issued, and when it expires, in milliseconds since the epoch. */
  readonly issueTime: number;
  readonly expireTime: number;
  /** Valid once. Secret. */
  readonly refreshToken?: string;
  readonly scopes: readonly string[];
}

export interface RefreshRequest {
  /** The presented token. */
  readonly token: string;
  /** Those wanted of the new access token. Default: all that the first one had, the user may have, and the client may have. */
  readonly scopes: readonly string[];
  /** OAuth client that presents it, as authenticated. */
  readonly client?: Pick<OAuthClient, "id" | "scopes">;
}

export interface TokenIssuerOptions {
  readonly tokens: AccessTokens;
  readonly families: RefreshFamilyStore;
  readonly sessions: Sessions;
  readonly clients: ClientStore;
  readonly principals: PrincipalLookup;
  readonly revocations: Revocations;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** How long a spent refresh token is answered with its successor again, in milliseconds. */
  readonly graceMs: number;
  /** Scopes that a user may have. */
  readonly userScopes: readonly string[];
  /** Told what came of each use of a refresh token. */
  readonly onRefresh?: (outcome: RefreshOutcome["kind"], sessionId: string) => void;
}

/** Issues tokens for credentials, and new ones for old. */
export interface TokenIssuer {
  /**
   * Issues an access token for a credential that was just verified, and a refresh token when it opened a session.
   *
   * @throws ServiceError INVALID_ARGUMENT, reason SCOPE_NOT_ALLOWED; UNAVAILABLE
   */
  issue(authentication: Authentication, scopes: readonly string[]): Promise<TokenSet>;
  /**
   * Spends a refresh token and issues new tokens. One that was spent before, but for a moment ago, ends its session and
   * all that came of it.
   *
   * @throws ServiceError UNAUTHENTICATED; INVALID_ARGUMENT, reason SCOPE_NOT_ALLOWED; UNAVAILABLE
   */
  refresh(request: RefreshRequest): Promise<TokenSet>;
  /** Issues an access token that has been decided upon. */
  grant(grant: AccessTokenGrant): Promise<TokenSet>;
  /** Scopes that a principal may have. */
  allowedScopes(principal: Principal): Promise<readonly string[]>;
}

export function createTokenIssuer(options: TokenIssuerOptions): TokenIssuer {
  const { tokens, families, sessions, clients, principals, revocations, clock, random, graceMs, userScopes } = options;

  async function allowedScopes({ type, id }: Principal): Promise<readonly string[]> {
    switch (type) {
      case "User":
        return userScopes;
      case "Client":
        return (await clients.find(id))?.scopes ?? [];
      case "Workload":
        return [];
    }
  }

  async function beginFamily(session: Session, scopes: readonly string[]): Promise<RefreshToken> {
    const token = newRefreshToken(session.id, random);
    const { sessionId, partition, seriesHash, hash: currentHash } = token;
    const { expireTime } = session;
    const family = {
      sessionId,
      partition,
      seriesHash,
      currentHash,
      issueTime: clock(),
      client: "",
      scopes,
      expireTime,
    };
    await families.add(family);
    return token;
  }

  /** Spends a token; answers the one that is valid from now on. */
  async function spend(presented: RefreshToken, client: string): Promise<RefreshToken> {
    const successor = successorOf(presented, random);
    const outcome = await families.use({
      sessionId: presented.sessionId,
      partition: presented.partition,
      seriesHash: presented.seriesHash,
      presentedHash: presented.hash,
      successorHash: successor.hash,
      sealedSuccessor: sealSuccessor(presented, successor, random),
      client,
      now: clock(),
      graceMs,
    });
    options.onRefresh?.(outcome.kind, presented.sessionId);
    switch (outcome.kind) {
      case "rotated":
        return successor;
      case "repeated":
        return openSuccessor(presented, outcome.sealedSuccessor);
      case "reused":
        await revocations.revoke({ kind: "session", sessionId: presented.sessionId });
        throw notAuthenticated();
      case "unknown":
        throw notAuthenticated();
    }
  }

  return {
    allowedScopes,
    grant: async (grant) => tokenSet(await tokens.issue(grant), undefined),
    async issue({ principal, session, sessionToken, amr, expireTime, accessToken, external }, wanted) {
      const allowed = accessToken?.scopes ?? (await allowedScopes(principal));
      const scopes = grantedScopes(wanted, allowed);
      if (scopes === undefined) {
        // Nobody would ever hold the token of the session that was just opened.
        if (session !== undefined && sessionToken !== undefined) await sessions.end(session.id);
        throw scopeNotAllowed();
      }
      const refreshToken =
        session === undefined || sessionToken === undefined ? undefined : await beginFamily(session, scopes);
      const issued = await tokens.issue({
        principalType: principal.type,
        subject: principal.id,
        ...(session === undefined ? {} : { sessionId: session.id }),
        ...(principal.type === "Client" ? { clientId: principal.id } : {}),
        scopes,
        amr,
        ...(session === undefined && expireTime !== undefined ? { notAfter: expireTime } : {}),
        ...(external === undefined ? {} : { external }),
      });
      return tokenSet(issued, refreshToken);
    },
    async refresh({ token, scopes: wanted, client }) {
      const presented = parseRefreshToken(token);
      if (presented === undefined) throw notAuthenticated();
      const family = await families.find(presented.partition, presented.sessionId);
      if (family === undefined || family.seriesHash !== presented.seriesHash) throw notAuthenticated();
      if (family.client !== "" && (await revocations.isClientRevoked(family.client, family.issueTime))) {
        throw notAuthenticated();
      }
      const session = await sessions.useById(presented.sessionId);
      const user = session && (await principals("User", session.user));
      if (session === undefined || user === undefined || !isSessionOf(session, user)) throw notAuthenticated();
      const scopes = grantedScopes(
        wanted,
        family.scopes.filter((scope) => userScopes.includes(scope) && client?.scopes.includes(scope) !== false),
      );
      if (scopes === undefined) throw scopeNotAllowed();
      const refreshToken = await spend(presented, client?.id ?? "");
      const issued = await tokens.issue({
        principalType: "User",
        subject: session.user,
        sessionId: session.id,
        ...(client === undefined ? {} : { clientId: client.id }),
        scopes,
        amr: session.amr,
      });
      return tokenSet(issued, refreshToken);
    },
  };
}

function tokenSet({ text, token }: IssuedAccessToken, refreshToken: RefreshToken | undefined): TokenSet {
  const { issueTime, expireTime, scopes } = token;
  return {
    accessToken: text,
    issueTime,
    expireTime,
    scopes,
    ...(refreshToken === undefined ? {} : { refreshToken: refreshToken.text }),
  };
}
