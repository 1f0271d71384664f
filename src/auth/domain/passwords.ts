import { timingSafeEqual } from "node:crypto";
import type { RandomBytes } from "./clock.ts";
import { type Argon2Parameters, formatPhc, parsePhc } from "./phc.ts";
import type { WorkQueue } from "./work-queue.ts";

/** Computes argon2id off the event loop. */
export type Argon2 = (
  password: string,
  salt: Uint8Array,
  parameters: Argon2Parameters,
  tagBytes: number,
) => Promise<Uint8Array>;

export interface PasswordsOptions {
  readonly argon2: Argon2;
  /** Cost of new hashes. */
  readonly parameters: Argon2Parameters;
  readonly queue: WorkQueue;
  readonly random: RandomBytes;
}

export interface PasswordCheck {
  readonly matches: boolean;
  /** Whether the hash was made with other parameters than are wanted now. */
  readonly outdated: boolean;
}

/**
 * Hashes and checks passwords with argon2id. Passwords are brought to NFKC first (NIST SP 800-63B section 5.1.1.2), so
 * that it does not matter which keyboard typed them.
 *
 * Both functions wait for their turn in the queue and throw what it throws.
 */
export interface Passwords {
  /** Throws what `check` would throw now for want of room. */
  assertRoom(): void;
  /** Answers a PHC string. */
  hash(password: string, signal?: AbortSignal): Promise<string>;
  /**
   * Checks a password against a hash. Without one, or with one that cannot be read, it does the work of a check all the
   * same, so that the time does not tell, and the password does not match.
   */
  check(password: string, phc: string | undefined, signal?: AbortSignal): Promise<PasswordCheck>;
}

const saltBytes = 16;
const tagBytes = 32;

export function createPasswords({ argon2, parameters, queue, random }: PasswordsOptions): Passwords {
  // No password has this hash: its tag is random, not computed.
  const dummy = formatPhc({ parameters, salt: random(saltBytes), tag: random(tagBytes) });

  return {
    assertRoom: () => queue.assertRoom(),
    async hash(password, signal) {
      const salt = random(saltBytes);
      const tag = await queue.run(() => argon2(password.normalize("NFKC"), salt, parameters, tagBytes), signal);
      return formatPhc({ parameters, salt, tag });
    },
    async check(password, phc, signal) {
      const known = phc === undefined ? undefined : parsePhc(phc);
      const expected = known ?? parsePhc(dummy)!;
      const { salt, tag } = expected;
      const actual = await queue.run(
        () => argon2(password.normalize("NFKC"), salt, expected.parameters, tag.length),
        signal,
      );
      const matches = timingSafeEqual(actual, tag) && known !== undefined;
      return { matches, outdated: !isCurrent(expected.parameters, tag.length, parameters) };
    },
  };
}

function isCurrent(actual: Argon2Parameters, actualTagBytes: number, wanted: Argon2Parameters): boolean {
  return (
    actualTagBytes === tagBytes &&
    actual.memoryKib === wanted.memoryKib &&
    actual.passes === wanted.passes &&
    actual.parallelism === wanted.parallelism
  );
}
