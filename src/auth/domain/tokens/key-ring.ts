import type { JWK } from "jose";
import type { Clock } from "../clock.ts";
import type { SecretBox } from "../secret-box.ts";
import { generateKeyRecord, type KeyPair, openKeyRecord } from "./key-pair.ts";
import {
  type SigningAlgorithm,
  type SigningKeyRecord,
  type SigningKeySet,
  type SigningKeyStore,
  signingKeyAt,
  withNewKey,
} from "./signing-keys.ts";

export interface KeyRingOptions {
  readonly store: SigningKeyStore;
  /** Encrypts the private keys. */
  readonly box: SecretBox;
  readonly clock: Clock;
  /** Algorithm of new keys. Another one takes effect with the next rotation, which is then due at once. */
  readonly algorithm: SigningAlgorithm;
  /** How long a key signs, in milliseconds. */
  readonly rotationMs: number;
  /** How long a key is published before it signs, in milliseconds: longer than anybody caches the JWKS. */
  readonly leadMs: number;
  /** How long a key is kept after it has signed its last token, in milliseconds: longer than any token lives. */
  readonly retentionMs: number;
}

/**
 * The signing keys, shared by all replicas.
 *
 * A key is published, then signs, then only verifies, then is gone. A token is never refused for want of its key: a key that
 * this replica has not heard of is looked for in the store, and none goes before the last token it signed has expired.
 *
 * Its methods throw ServiceError UNAVAILABLE when the store cannot be reached, and SecretBoxError when a key does not open.
 */
export interface KeyRing {
  /** The key that signs now; the very first is made when it is asked for. */
  signer(): Promise<KeyPair>;
  /** A key by its id, also one that another replica made a moment ago; undefined when there is no such key. */
  find(kid: string): KeyPair | undefined | Promise<KeyPair | undefined>;
  /** Whether a key was there when the keys were last read. */
  has(kid: string): boolean;
  /** Public keys: those that sign, will sign, and have signed tokens that may still be valid. */
  published(): Promise<readonly JWK[]>;
  /**
   * Makes a new key, which signs after the lead time, or at once; answers its id. Of replicas that rotate at the same time one
   * wins, and all answer its key; so they do while a key waits for its time.
   */
  rotate(options?: RotateOptions): Promise<string>;
  /** All keys, read anew, by the time at which they begin to sign. */
  list(): Promise<readonly ListedKey[]>;
  /** Reads the keys anew, makes the first, and rotates where that is due. To be called every minute or so. */
  tend(): Promise<void>;
}

/** A key, and what it is good for now: `published` ones will sign, `retired` ones have signed. */
export interface ListedKey extends Omit<SigningKeyRecord, "sealed"> {
  readonly state: "published" | "signing" | "retired";
}

export interface RotateOptions {
  /** Whether the new key signs at once. Who caches the JWKS may not know it yet. */
  readonly immediately?: boolean;
  /**
   * Whether all other keys go, and with them every token that they signed: for when one has leaked. Implies `immediately`.
   * Other replicas follow with the next token they are shown that the new key signed, and when they tend their keys.
   */
  readonly dropOthers?: boolean;
}

interface Opened {
  readonly version: number;
  readonly records: readonly SigningKeyRecord[];
  readonly pairs: readonly KeyPair[];
  readonly byKid: ReadonlyMap<string, KeyPair>;
}

/** Thumbprints are 32 bytes in base64url. */
const kidShape = /^[A-Za-z0-9_-]{43}$/;

export function createKeyRing(options: KeyRingOptions): KeyRing {
  const { store, box, clock, algorithm, rotationMs, leadMs, retentionMs } = options;
  let current: Opened | undefined;
  let loading: Promise<Opened> | undefined;
  let queued: Promise<Opened> | undefined;

  async function load(): Promise<Opened> {
    const set: SigningKeySet = await store.load();
    if (set.version === current?.version) return current;
    const pairs = await Promise.all(
      set.keys.map((record) => current?.byKid.get(record.kid) ?? openKeyRecord(record, box)),
    );
    current = {
      version: set.version,
      records: set.keys,
      pairs,
      byKid: new Map(pairs.map((pair) => [pair.kid, pair])),
    };
    return current;
  }

  /** Answers keys that were read after the call, by one read for all who ask meanwhile: strangers' key ids cost no more. */
  function reload(): Promise<Opened> {
    if (loading === undefined) {
      loading = load().finally(() => {
        loading = undefined;
      });
      return loading;
    }
    queued ??= loading
      .catch(() => undefined)
      .then(() => {
        queued = undefined;
        return reload();
      });
    return queued;
  }

  /** Adds a key, unless another replica has changed the keys meanwhile; answers those that are then there. */
  async function add(seen: Opened, lead: number, dropOthers = false): Promise<Opened> {
    const now = clock();
    const record = await generateKeyRecord(algorithm, box, now, now + lead);
    await store.replace(seen.version, dropOthers ? [record] : withNewKey(seen.records, record, retentionMs));
    return await reload();
  }

  /** The keys, of which there is one at least. */
  async function usable(): Promise<Opened> {
    if (current !== undefined && current.pairs.length > 0) return current;
    const fresh = await reload();
    return fresh.pairs.length > 0 ? fresh : await add(fresh, 0);
  }

  /** Whether the newest key signs, and its successor must be published by now or have another algorithm. */
  function isDue({ records }: Opened, now: number): boolean {
    const newest = records.at(-1);
    if (newest === undefined || newest.activateTime > now) return false;
    return newest.algorithm !== algorithm || now >= newest.activateTime + rotationMs - leadMs;
  }

  return {
    async signer() {
      return signingKeyAt((await usable()).pairs, clock())!;
    },
    find(kid) {
      const known = current?.byKid.get(kid);
      if (known !== undefined || !kidShape.test(kid)) return known;
      return reload().then(({ byKid }) => byKid.get(kid));
    },
    has: (kid) => current?.byKid.has(kid) === true,
    async published() {
      return (await usable()).pairs.map(({ publicJwk }) => publicJwk);
    },
    async list() {
      const { records } = await reload();
      const signing = signingKeyAt(records, clock());
      return records.map(({ sealed: _, ...record }, index) => {
        if (record.kid === signing?.kid) return { ...record, state: "signing" };
        return {
          ...record,
          state: index < records.findIndex(({ kid }) => kid === signing?.kid) ? "retired" : "published",
        };
      });
    },
    async rotate({ dropOthers = false, immediately = dropOthers } = {}) {
      const known = new Set((await reload()).byKid.keys());
      for (;;) {
        const seen = await reload();
        const now = clock();
        const made = seen.records.find(({ kid, activateTime }) => {
          const waits = activateTime > now;
          const isNew = !known.has(kid);
          if (dropOthers) return isNew && seen.records.length === 1;
          return immediately ? isNew && !waits : isNew || waits;
        });
        if (made !== undefined) return made.kid;
        await add(seen, immediately || seen.records.length === 0 ? 0 : leadMs, dropOthers);
      }
    },
    async tend() {
      const seen = await reload();
      if (seen.records.length === 0) await add(seen, 0);
      else if (isDue(seen, clock())) await add(seen, leadMs);
    },
  };
}
