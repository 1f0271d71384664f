import { ServiceError } from "../../../shared/service-error.ts";
import {
  notAuthenticated,
  secondFactorNotSupported,
  secondFactorNotValid,
  secondFactorRequired,
} from "../../errors.ts";
import { type IdentityStore, principalOf, type User } from "../identities.ts";
import type { Lockout, SignInAttempt } from "../lockout.ts";
import type { Passwords } from "../passwords.ts";
import type { SecondFactorProof, SecondFactors } from "../second-factors.ts";
import type { Session, Sessions } from "../sessions.ts";
import { foldUserName } from "../user-name.ts";
import type { Attempt, Verifier } from "./credential.ts";

export interface PasswordVerifierOptions {
  readonly identities: IdentityStore;
  readonly passwords: Passwords;
  readonly secondFactors: SecondFactors;
  readonly sessions: Sessions;
  readonly lockout: Lockout;
  /** Tells the network that an attempt comes from. */
  readonly networkOf: (attempt: Attempt) => string | undefined;
}

/** What is known of a sign-in once its password is right. */
const passwordAmr: readonly string[] = ["pwd"];
/** A backup code is a one-time password too (RFC 8176). */
const secondFactorAmr: readonly string[] = ["pwd", "otp", "mfa"];

/**
 * Verifies a user name and password, and the second factor of a user who has one, and opens a session.
 *
 * An unknown user, one without a password, a disabled one and a wrong password are refused alike, after the same work,
 * and count as failures alike. After too many of them, attempts are refused before that work (lockout.ts).
 * (Hashes made with other parameters than the current ones take their own time, until their user has signed in once.)
 */
export function createPasswordVerifier(options: PasswordVerifierOptions): Verifier<"password"> {
  const { identities, passwords, secondFactors, sessions, lockout, networkOf } = options;

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

  /** Asks a user whose password is right for the second factor. */
  async function prove(who: SignInAttempt, proof: SecondFactorProof | undefined): Promise<void> {
    // What follows tells that the password is right, so not while its name must wait.
    await lockout.check("password", who);
    if (proof === undefined) throw secondFactorRequired();
    await lockout.check("second-factor", who);
    if (await secondFactors.use(who.name, proof)) return;
    await lockout.failed("second-factor", who);
    throw secondFactorNotValid();
  }

  return async ({ username, password, secondFactor }, attempt) => {
    if (secondFactor?.kind === "totp" && !secondFactors.available) throw secondFactorNotSupported();
    // In a storm of sign-ins most are refused: those are not to cost the store anything.
    passwords.assertRoom();
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
    const { totpCreateTime } = await secondFactors.status(name);
    const proven = secondFactor !== undefined || totpCreateTime !== undefined;
    if (proven) await prove(who, secondFactor);
    await lockout.succeeded(proven ? ["second-factor", "password"] : ["password"], who);
    if (outdated) await rehash(user, password, signal);
    const { session, token } = await sessions.open(
      user.name,
      proven ? secondFactorAmr : passwordAmr,
      user.sessionEpoch,
    );
    await assertUnchanged(user, session);
    return {
      principal: principalOf(user),
      amr: session.amr,
      session,
      sessionToken: token,
    };
  };
}
