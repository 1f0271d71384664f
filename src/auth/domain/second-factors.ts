import { type Awaitable, chain } from "../../shared/awaitable.ts";
import { hashBackupCode, newBackupCodes } from "./backup-codes.ts";
import type { Clock, RandomBytes } from "./clock.ts";
import type { SecretBox } from "./secret-box.ts";
import { base32, matchTotp, otpauthUri, totpSecretBytes } from "./totp.ts";

/** What a user presents beside a password. */
export type SecondFactorProof =
  | { readonly kind: "totp"; readonly code: string }
  | { readonly kind: "backupCode"; readonly code: string };

/** What is kept of a user's second factors. Times are milliseconds since the epoch. */
export interface StoredSecondFactors {
  /** The authenticator that sign-ins ask for; its secret is sealed. */
  readonly totp: { readonly sealedSecret: string; readonly createTime: number } | undefined;
  /** One that is not confirmed yet. */
  readonly pending: { readonly sealedSecret: string; readonly expireTime: number } | undefined;
  /** Backup codes that are not used yet. */
  readonly backupCodesLeft: number;
}

/**
 * Keeps second factors by user. Each write is one step and durable once it is answered. Throws ServiceError UNAVAILABLE when
 * it cannot be reached.
 */
export interface SecondFactorStore {
  find(user: string): Awaitable<StoredSecondFactors>;
  /** Sets the authenticator to be confirmed, in place of any before. The confirmed one stays. */
  begin(user: string, sealedSecret: string, expireTime: number): Awaitable<void>;
  /**
   * Makes the pending authenticator the one that sign-ins ask for, as used in time step `step`, and replaces all backup
   * codes, if it still is `sealedSecret`; answers whether it was.
   */
  confirm(
    user: string,
    sealedSecret: string,
    step: number,
    backupCodeHashes: readonly string[],
    now: number,
  ): Awaitable<boolean>;
  /** Uses a time step of an authenticator; answers whether it was later than all that were used. */
  useStep(user: string, sealedSecret: string, step: number): Awaitable<boolean>;
  /** Uses a backup code up; answers whether it was there. */
  useBackupCode(user: string, codeHash: string): Awaitable<boolean>;
  /** Answers false, and changes nothing, when the user has no authenticator. */
  replaceBackupCodes(user: string, codeHashes: readonly string[]): Awaitable<boolean>;
  /** Removes all of a user's; answers whether there was an authenticator. */
  remove(user: string): Awaitable<boolean>;
}

export interface SecondFactorsOptions {
  readonly store: SecondFactorStore;
  /** Seals secrets for the store; undefined when there is no key to do it: then no authenticator can be used. */
  readonly secretBox: SecretBox | undefined;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Name that authenticator apps show beside the user's. */
  readonly issuer: string;
}

/** A new authenticator, shown once. */
export interface TotpEnrolment {
  /** In base32, to be typed into an app. Secret. */
  readonly secret: string;
  /** The same and more, to be shown as a QR code. Secret. */
  readonly uri: string;
  /** When it can no longer be confirmed. */
  readonly expireTime: number;
}

export interface SecondFactorStatus {
  /** When the authenticator was enrolled; undefined when there is none. */
  readonly totpCreateTime: number | undefined;
  readonly backupCodesLeft: number;
}

/** How long an authenticator waits for its first code, in milliseconds. */
const enrolmentMs = 600_000;

/** Authenticators (TOTP, RFC 6238) and backup codes of users. Throws what the store throws. */
export interface SecondFactors {
  /** Whether secrets can be sealed and opened here. */
  readonly available: boolean;
  status(user: string): Awaitable<SecondFactorStatus>;
  /** Makes a secret, to be confirmed with a code of it. Only while `available`. */
  enrol(user: string): Awaitable<TotpEnrolment>;
  /** Confirms it and answers new backup codes; undefined when the code is not valid now or nothing waits for one. */
  confirm(user: string, code: string): Awaitable<readonly string[] | undefined>;
  /** Uses a proof up; answers whether it was valid, which it is once on all replicas together. */
  use(user: string, proof: SecondFactorProof): Awaitable<boolean>;
  /** Answers new backup codes in place of all before; undefined when the user has no authenticator. */
  replaceBackupCodes(user: string): Awaitable<readonly string[] | undefined>;
  /** Removes authenticator and backup codes; answers whether there were any. */
  remove(user: string): Awaitable<boolean>;
}

export function createSecondFactors(options: SecondFactorsOptions): SecondFactors {
  const { store, secretBox, clock, random, issuer } = options;

  /** The step of a code, by a sealed secret. */
  function stepOf(user: string, sealedSecret: string | undefined, code: string, now: number): number | undefined {
    if (sealedSecret === undefined || secretBox === undefined) return undefined;
    return matchTotp(secretBox.open(sealedSecret, placeOf(user)), code, now);
  }

  /** New codes, once the store has taken their hashes. */
  function issue(user: string, keep: (hashes: readonly string[]) => Awaitable<boolean>) {
    const codes = newBackupCodes(random);
    return chain(keep(codes.map((code) => hashBackupCode(user, code)!)), (kept) => (kept ? codes : undefined));
  }

  return {
    available: secretBox !== undefined,
    status(user) {
      return chain(store.find(user), ({ totp, backupCodesLeft }) => ({
        totpCreateTime: totp?.createTime,
        backupCodesLeft,
      }));
    },
    enrol(user) {
      if (secretBox === undefined) throw new Error("There is no key to seal secrets with.");
      const secret = random(totpSecretBytes);
      const expireTime = clock() + enrolmentMs;
      return chain(store.begin(user, secretBox.seal(secret, placeOf(user)), expireTime), () => ({
        secret: base32(secret),
        uri: otpauthUri(secret, user, issuer),
        expireTime,
      }));
    },
    confirm(user, code) {
      const now = clock();
      return chain(store.find(user), ({ pending }) => {
        if (pending === undefined || now >= pending.expireTime) return undefined;
        const step = stepOf(user, pending.sealedSecret, code, now);
        if (step === undefined) return undefined;
        return issue(user, (hashes) => store.confirm(user, pending.sealedSecret, step, hashes, now));
      });
    },
    use(user, { kind, code }) {
      if (kind === "backupCode") {
        const codeHash = hashBackupCode(user, code);
        return codeHash === undefined ? false : store.useBackupCode(user, codeHash);
      }
      return chain(store.find(user), ({ totp }) => {
        const step = stepOf(user, totp?.sealedSecret, code, clock());
        return totp === undefined || step === undefined ? false : store.useStep(user, totp.sealedSecret, step);
      });
    },
    replaceBackupCodes: (user) => issue(user, (hashes) => store.replaceBackupCodes(user, hashes)),
    remove: (user) => store.remove(user),
  };
}

/** Where a secret belongs: one that was copied to another user does not open. */
function placeOf(user: string): string {
  return `totp:${user}`;
}
