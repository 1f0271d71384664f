import { ServiceError } from "../../../shared/service-error.ts";
import { notAuthenticated } from "../../errors.ts";
import { type IdentityStore, principalOf, type User } from "../identities.ts";
import type { Passwords } from "../passwords.ts";
import type { Session, Sessions } from "../sessions.ts";
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

  /**
   * Takes a session back whose user was changed, so that all sessions end, since the password was looked up: it may have
   * been opened too late to be among those that ended, and what it is worth now nobody has proved.
   */
  async function assertUnchanged({ name, sessionEpoch }: User, { id }: Session): Promise<void> {
    const user = await identities.findUser(name);
    if (user?.sessionEpoch === sessionEpoch) return;
    await sessions.end(id);
    throw notAuthenticated();
  }

  return async ({ username, password }, { signal }) => {
    // In a storm of sign-ins most are refused: those are not to cost the store anything.
    passwords.assertRoom();
    const user = await identities.findUser(foldUserName(username));
    const { matches, outdated } = await passwords.check(password, user?.passwordHash, signal);
    if (user === undefined || !matches || user.disabled) throw notAuthenticated();
    if (outdated) await rehash(user, password, signal);
    const { session, token } = await sessions.open(user.name, ["pwd"], user.sessionEpoch);
    await assertUnchanged(user, session);
    return {
      principal: principalOf(user),
      amr: session.amr,
      session,
      sessionToken: token,
    };
  };
}
