import { type Awaitable, chain, chainAll } from "../../../shared/awaitable.ts";
import type { Principal } from "../principal.ts";
import { isSessionOf, type PrincipalLookup } from "../principals.ts";
import type { Revocations } from "../revocations.ts";
import type { Session, Sessions } from "../sessions.ts";
import type { AccessToken, AccessTokens } from "./access-tokens.ts";

/** An access token that is good now. */
export interface LiveToken {
  readonly token: AccessToken;
  readonly principal: Principal;
  readonly session?: Session;
}

export interface LiveTokensOptions {
  readonly tokens: AccessTokens;
  readonly sessions: Sessions;
  readonly revocations: Revocations;
  readonly principals: PrincipalLookup;
}

/**
 * Answers what an access token stands for, or undefined when it is not ours, expired, revoked, or its session, principal or
 * client is gone. The signature may be remembered; all else is asked of the store each time.
 *
 * With `use`, the session counts as used. Throws ServiceError UNAVAILABLE when the store cannot be reached.
 */
export type LiveTokens = (text: string, use: boolean) => Awaitable<LiveToken | undefined>;

export function createLiveTokens({ tokens, sessions, revocations, principals }: LiveTokensOptions): LiveTokens {
  function sessionOf({ sessionId }: AccessToken, use: boolean): Awaitable<Session | undefined> {
    if (sessionId === undefined) return undefined;
    return use ? sessions.useById(sessionId) : sessions.findById(sessionId);
  }

  /** Whether the client that a token was issued to is another than whom it speaks for. */
  function hasOtherClient({ principalType, subject, clientId }: AccessToken): boolean {
    return clientId !== undefined && !(principalType === "Client" && clientId === subject);
  }

  return (text, use) =>
    chain(tokens.verify(text), (token) => {
      if (token === undefined) return undefined;
      const { principalType, subject, sessionId, clientId = "" } = token;
      const needsClient = hasOtherClient(token);
      return chainAll(
        [
          revocations.isRevoked(token),
          sessionOf(token, use),
          principals(principalType, subject, token.external),
          needsClient ? principals("Client", clientId) : undefined,
        ] as const,
        ([revoked, session, known, client]) => {
          if (revoked || known === undefined || (needsClient && client === undefined)) return undefined;
          const { principal } = known;
          if (sessionId === undefined) return { token, principal };
          return session !== undefined && isSessionOf(session, known) ? { token, principal, session } : undefined;
        },
      );
    });
}
