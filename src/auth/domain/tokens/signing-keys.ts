import type { Awaitable } from "../../../shared/awaitable.ts";

/** Signature algorithms of access tokens (RFC 7518, RFC 8037). */
export const signingAlgorithms = ["ES256", "EdDSA", "RS256"] as const;

export type SigningAlgorithm = (typeof signingAlgorithms)[number];

/** A signing key as it is kept. Times are milliseconds since the epoch. */
export interface SigningKeyRecord {
  /** Thumbprint of the public key (RFC 7638). */
  readonly kid: string;
  readonly algorithm: SigningAlgorithm;
  /** The private JWK, sealed. The public key is made of it, so that nobody who can write to the store can add a key. */
  readonly sealed: string;
  readonly createTime: number;
  /** When it begins to sign, and the one before it stops. Until then it is published only. */
  readonly activateTime: number;
}

/** All signing keys, and how often the set was changed. */
export interface SigningKeySet {
  readonly version: number;
  /** By the time of activation. */
  readonly keys: readonly SigningKeyRecord[];
}

/** Keeps signing keys. A write is durable once it is answered. Throws ServiceError UNAVAILABLE when it cannot be reached. */
export interface SigningKeyStore {
  /** Version 0 without keys when there are none yet. */
  load(): Awaitable<SigningKeySet>;
  /** Replaces all keys, if the version is still `version`, and makes it the next; answers whether it was. */
  replace(version: number, keys: readonly SigningKeyRecord[]): Awaitable<boolean>;
}

/**
 * Keys after a rotation: the new one is added, and those go that stopped signing `retentionMs` ago, when the last token they
 * signed has expired.
 */
export function withNewKey(
  keys: readonly SigningKeyRecord[],
  added: SigningKeyRecord,
  retentionMs: number,
): readonly SigningKeyRecord[] {
  const all = [...keys, added].sort((one, other) => one.activateTime - other.activateTime);
  return all.filter((_, index) => {
    const successor = all[index + 1];
    return successor === undefined || successor.activateTime + retentionMs > added.createTime;
  });
}

/** The key that signs at a time: the one that was activated last, or the first for a clock that is behind them all. */
export function signingKeyAt<K extends Pick<SigningKeyRecord, "activateTime">>(
  keys: readonly K[],
  now: number,
): K | undefined {
  return keys.findLast((key) => key.activateTime <= now) ?? keys[0];
}
