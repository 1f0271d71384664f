import { ServiceError } from "../../../shared/service-error.ts";
import { notAuthenticated } from "../../errors.ts";
import { type IdentityStore, principalOf, type User } from "../identities.ts";
import type { Passwords } from "../passwords.ts";
import type { Sessions } from "../sessions.ts";
import { foldUserName } from "../user-name.ts";
import type { Verifier } from "./credential.ts";

export interface PasswordVerifierOptions {
  readonly identities: IdentityStore;
  readonly passwords: Passwords;
  readonly sessions: Sessions;
}

/**
 * Verifies a user name and password, and opens a session.
 *
 * An unknown user, one without a password, a disabled one and a wrong password are refused alike, after the same work.
 * (Hashes made with other parameters than the current ones take their own time, until their user has signed in once.)
 */
export function createPasswordVerifier(options: PasswordVerifierOptions): Verifier<"password"> {
  const { identities, passwords, sessions } = options;

  /** Replaces a hash of former parameters. Not a reason to refuse a user: the next sign-in tries again. */
  async function rehash(user: User, password: string, signal: AbortSignal | undefined): Promise<void> {
    try {
      await identities.replacePasswordHash(user.name, user.passwordHash!, await passwords.hash(password, signal));
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
    }
  }

  return async ({ username, password }, { signal }) => {
    const user = await identities.findUser(foldUserName(username));
    const { matches, outdated } = await passwords.check(password, user?.passwordHash, signal);
    if (user === undefined || !matches || user.disabled) throw notAuthenticated();
    if (outdated) await rehash(user, password, signal);
    const { session, token } = await sessions.open(user.name, ["pwd"], user.sessionEpoch);
    return {
      principal: principalOf(user),
      amr: session.amr,
      session,
      sessionToken: token,
    };
  };
}
