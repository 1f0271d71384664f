import { ServiceError } from "../../../shared/service-error.ts";
import { notAuthenticated } from "../../errors.ts";
import { type IdentityStore, principalOf, type User } from "../identities.ts";
import type { Lockout } from "../lockout.ts";
import type { Passwords } from "../passwords.ts";
import type { Sessions } from "../sessions.ts";
import { foldUserName } from "../user-name.ts";
import type { Attempt, Verifier } from "./credential.ts";

export interface PasswordVerifierOptions {
  readonly identities: IdentityStore;
  readonly passwords: Passwords;
  readonly sessions: Sessions;
  readonly lockout: Lockout;
  /** Tells the network that an attempt comes from. */
  readonly networkOf: (attempt: Attempt) => string | undefined;
}

/**
 * Verifies a user name and password, and opens a session.
 *
 * An unknown user, one without a password, a disabled one and a wrong password are refused alike, after the same work,
 * and count as failures alike. After too many of them, attempts are refused before that work (lockout.ts).
 * (Hashes made with other parameters than the current ones take their own time, until their user has signed in once.)
 */
export function createPasswordVerifier(options: PasswordVerifierOptions): Verifier<"password"> {
  const { identities, passwords, sessions, lockout, networkOf } = options;

  /** Replaces a hash of former parameters. Not a reason to refuse a user: the next sign-in tries again. */
  async function rehash(user: User, password: string, signal: AbortSignal | undefined): Promise<void> {
    try {
      await identities.replacePasswordHash(user.name, user.passwordHash!, await passwords.hash(password, signal));
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
    }
  }

  return async ({ username, password }, attempt) => {
    const { signal } = attempt;
    const name = foldUserName(username);
    const who = { name, network: networkOf(attempt) };
    await lockout.check("password", who);
    const user = await identities.findUser(name);
    const { matches, outdated } = await passwords.check(password, user?.passwordHash, signal);
    if (user === undefined || !matches || user.disabled) {
      await lockout.failed("password", who);
      throw notAuthenticated();
    }
    await lockout.succeeded(["password"], who);
    if (outdated) await rehash(user, password, signal);
    const { session, token } = await sessions.open(user.name, ["pwd"]);
    return {
      principal: principalOf(user),
      amr: session.amr,
      session,
      sessionToken: token,
    };
  };
}
