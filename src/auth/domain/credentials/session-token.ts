import { chain } from "../../../shared/awaitable.ts";
import { notAuthenticated } from "../../errors.ts";
import { type IdentityStore, principalOf } from "../identities.ts";
import type { Sessions } from "../sessions.ts";
import type { Verifier } from "./credential.ts";

export interface SessionTokenVerifierOptions {
  readonly identities: IdentityStore;
  readonly sessions: Sessions;
}

/**
 * Verifies the token of a session. Roles and attributes are those of now. A user who is disabled or gone is refused,
 * and so is a session from before a change that ended all sessions, even if it could not be removed.
 */
export function createSessionTokenVerifier({
  identities,
  sessions,
}: SessionTokenVerifierOptions): Verifier<"bearerToken"> {
  return ({ token }) =>
    chain(sessions.use(token), (session) => {
      if (session === undefined) throw notAuthenticated();
      return chain(identities.findUser(session.user), (user) => {
        if (user === undefined || user.disabled || user.sessionEpoch !== session.epoch) throw notAuthenticated();
        const { amr, idleExpireTime } = session;
        return { principal: principalOf(user), amr, session, expireTime: idleExpireTime };
      });
    });
}
