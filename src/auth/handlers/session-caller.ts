import type { CallContext } from "../../shared/rpc/handler.ts";
import { callOf } from "../convert.ts";
import type { Clock } from "../domain/clock.ts";
import type { Verifier } from "../domain/credentials/credential.ts";
import type { Session } from "../domain/sessions.ts";
import { notAuthenticated, recentSignInRequired } from "../errors.ts";
import { bearerTokenOf } from "../guard.ts";

export interface SessionCallerOptions {
  readonly verify: Verifier<"bearerToken">;
  readonly clock: Clock;
  /** How long ago a sign-in may be to count as recent, in milliseconds. */
  readonly recentMs: number;
}

/** Finds the session of a caller by the token in its `authorization` metadata. */
export interface SessionCaller {
  /** @throws ServiceError UNAUTHENTICATED (reason CREDENTIAL_NOT_VALID or CREDENTIAL_MISSING) */
  session(context: CallContext): Promise<Session>;
  /** @throws ServiceError UNAUTHENTICATED, also (reason RECENT_SIGN_IN_REQUIRED) when the sign-in is not recent. */
  recentSession(context: CallContext): Promise<Session>;
}

export function createSessionCaller({ verify, clock, recentMs }: SessionCallerOptions): SessionCaller {
  async function session(context: CallContext): Promise<Session> {
    const token = bearerTokenOf(context);
    const authentication = await verify({ kind: "bearerToken", token }, callOf(context));
    if (authentication.session === undefined) throw notAuthenticated();
    return authentication.session;
  }

  return {
    session,
    async recentSession(context) {
      const found = await session(context);
      if (clock() - found.createTime > recentMs) throw recentSignInRequired();
      return found;
    },
  };
}
