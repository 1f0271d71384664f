import { timingSafeEqual } from "node:crypto";
import { type Awaitable, chain } from "../../shared/awaitable.ts";
import { apiKeyHash, apiKeyIdOf, newApiKey, partitionOfApiKey } from "./api-key-text.ts";
import type { Clock, RandomBytes } from "./clock.ts";
import { partitionOf } from "./session-keys.ts";

/** A long-lived credential of one user. Times are milliseconds since the epoch. */
export interface ApiKey {
  /** Names the key, does not stand for it. */
  readonly id: string;
  /** Folded name of the user. */
  readonly user: string;
  readonly displayName: string;
  /** Actions it may be used for, see scopeOf; empty for all that the user may do. */
  readonly scopes: readonly string[];
  readonly createTime: number;
  /** Undefined when it does not expire. */
  readonly expireTime: number | undefined;
  /** To within a minute; undefined when it never was. */
  readonly lastUsedTime: number | undefined;
}

/** A key as it is kept. */
export interface StoredApiKey {
  readonly key: ApiKey;
  /** SHA-256 of its text, in base64url. */
  readonly hash: string;
}

/**
 * Keeps API keys; a user's go with the user. A write is durable once it is answered. Throws ServiceError UNAVAILABLE when it
 * cannot be reached.
 */
export interface ApiKeyStore {
  /** Adds a key, if its user exists and has fewer than `limit`, in one step. */
  add(stored: StoredApiKey, limit: number): Awaitable<"added" | "absent" | "full">;
  find(partition: string, id: string): Awaitable<StoredApiKey | undefined>;
  /** Records a use, if the key is still there and the use is later than the last. */
  touch(partition: string, id: string, lastUsedTime: number): Awaitable<void>;
  /** All of a user's, newest first. */
  list(user: string): Awaitable<readonly ApiKey[]>;
  /** Answers whether it was there. */
  remove(partition: string, id: string): Awaitable<boolean>;
}

export interface ApiKeysOptions {
  readonly store: ApiKeyStore;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

export type NewApiKey = Pick<ApiKey, "user" | "displayName" | "scopes" | "expireTime">;

export interface MadeApiKey {
  readonly key: ApiKey;
  /** Not kept: it cannot be answered again. Secret. */
  readonly text: string;
}

/** API keys and their rules: a checksum, expiry, and a limit for each user. */
export interface ApiKeys {
  /** Makes a key; tells why it cannot. `limit` is the most that the user may have then. Default: 100. */
  make(key: NewApiKey, limit?: number): Awaitable<MadeApiKey | "absent" | "full">;
  /** Answers the live key of a text; undefined when there is none. */
  find(text: string): Awaitable<ApiKey | undefined>;
  /** Answers the live key of a text, and records the use; undefined when there is none. */
  use(text: string): Awaitable<ApiKey | undefined>;
  /** All of a user's, newest first, those that have expired included. */
  list(user: string): Awaitable<readonly ApiKey[]>;
  /** Revokes a key; answers whether there was one. */
  revoke(id: string): Awaitable<boolean>;
}

/** Most keys of a user. */
const maxKeys = 100;
/** Uses closer together than this, in milliseconds, are not recorded, so that most checks only read. */
const touchIntervalMs = 60_000;

export function createApiKeys({ store, clock, random }: ApiKeysOptions): ApiKeys {
  function find(text: string): Awaitable<ApiKey | undefined> {
    const id = apiKeyIdOf(text);
    const partition = id === undefined ? undefined : partitionOfApiKey(id);
    if (id === undefined || partition === undefined) return undefined;
    return chain(store.find(partition, id), (stored) => {
      if (stored === undefined || !isSame(stored.hash, apiKeyHash(text))) return undefined;
      const { key } = stored;
      return key.expireTime !== undefined && key.expireTime <= clock() ? undefined : key;
    });
  }

  function used(key: ApiKey): Awaitable<ApiKey> {
    const now = clock();
    if (key.lastUsedTime !== undefined && now - key.lastUsedTime < touchIntervalMs) return key;
    return chain(store.touch(partitionOf(key.user), key.id, now), () => ({ ...key, lastUsedTime: now }));
  }

  return {
    make(wanted, limit = maxKeys) {
      const { id, text } = newApiKey(wanted.user, random);
      const key: ApiKey = { ...wanted, id, createTime: clock(), lastUsedTime: undefined };
      return chain(store.add({ key, hash: apiKeyHash(text) }, limit), (outcome) =>
        outcome === "added" ? { key, text } : outcome,
      );
    },
    find,
    use: (text) => chain(find(text), (key) => (key === undefined ? undefined : used(key))),
    list: (user) => store.list(user),
    revoke(id) {
      const partition = partitionOfApiKey(id);
      return partition === undefined ? false : store.remove(partition, id);
    },
  };
}

function isSame(hash: string, other: string): boolean {
  const [a, b] = [Buffer.from(hash), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
