import type { KeyObject } from "node:crypto";
import type { Awaitable } from "../../../shared/awaitable.ts";
import { issuerUnavailable } from "../../errors.ts";
import type { Clock } from "../clock.ts";
import { findKey, type VerificationKey } from "./verification-keys.ts";

/** Fetches the keys of an issuer; rejects when they cannot be had. */
export type KeySource = () => Promise<readonly VerificationKey[]>;

/** In milliseconds. */
export interface KeyTimes {
  /** How often the keys are fetched anew. */
  readonly refreshMs: number;
  /** How long the keys are good while the issuer cannot be reached. */
  readonly maxAgeMs: number;
  /** Tokens with a key that is not known have the keys fetched no more often than this. */
  readonly cooldownMs: number;
}

export interface IssuerKeysOptions {
  readonly source: KeySource;
  readonly times: KeyTimes;
  readonly clock: Clock;
  /** Told how each attempt ended. */
  readonly onRefresh?: (error: unknown) => void;
}

/**
 * The keys of an issuer, fetched ahead of their use.
 *
 * An issuer that is down costs nothing while its keys are known. A key that is not known may be one that was just made, so it
 * has the keys fetched once, and then not again within the cooldown, however many tokens name how many keys. Failed attempts
 * are spaced out, doubling up to the cooldown.
 */
export interface IssuerKeys {
  /**
   * The key that a token names, or the one that fits when it names none; undefined when the issuer has no such key.
   *
   * @throws ServiceError UNAVAILABLE when it cannot be told, because the issuer cannot be reached.
   */
  find(keyId: string | undefined, algorithm: string): Awaitable<KeyObject | undefined>;
  /** Whether a key is still one of the issuer's. */
  has(key: KeyObject): boolean;
  /** Fetches the keys, and again from now on. Does not wait. */
  start(): void;
  stop(): void;
}

const firstRetryMs = 500;

export function createIssuerKeys({ source, times, clock, onRefresh }: IssuerKeysOptions): IssuerKeys {
  let keys: readonly VerificationKey[] = [];
  let loadedAt = Number.NEGATIVE_INFINITY;
  let failures = 0;
  /** No attempt is made before. */
  let retryAt = Number.NEGATIVE_INFINITY;
  /** No attempt is made before for a key that is not known. */
  let searchAt = Number.NEGATIVE_INFINITY;
  let refreshing: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let started = false;

  const areGood = (): boolean => clock() - loadedAt <= times.maxAgeMs;

  async function load(): Promise<void> {
    try {
      keys = keepKnown(await source(), keys);
      loadedAt = clock();
      failures = 0;
      retryAt = Number.NEGATIVE_INFINITY;
      onRefresh?.(undefined);
    } catch (error) {
      failures += 1;
      retryAt = clock() + Math.min(times.cooldownMs, firstRetryMs * 2 ** Math.min(failures - 1, 20));
      onRefresh?.(error);
    }
  }

  /** One attempt for all who want it at the same time. Never rejects. */
  function refresh(): Promise<void> {
    refreshing ??= load().finally(() => {
      refreshing = undefined;
      schedule();
    });
    return refreshing;
  }

  function schedule(): void {
    if (!started) return;
    clearTimeout(timer);
    const delayMs = failures === 0 ? times.refreshMs : Math.max(0, retryAt - clock());
    timer = setTimeout(() => void refresh(), delayMs).unref();
  }

  const unavailable = (): Error => issuerUnavailable(Math.max(firstRetryMs, retryAt - clock()));

  /** Whether an attempt may be made for a key that is not known, or while none is. */
  function maySearch(): boolean {
    const now = clock();
    return now >= retryAt && (now >= searchAt || !areGood());
  }

  async function search(keyId: string | undefined, algorithm: string): Promise<KeyObject | undefined> {
    // An attempt that was under way may have begun before the key was published: then one more is made.
    for (let attempt = 0; attempt < 2; attempt += 1) {
      if (refreshing === undefined) {
        if (!maySearch()) break;
        searchAt = clock() + times.cooldownMs;
      }
      await refresh();
      const key = areGood() ? findKey(keys, keyId, algorithm) : undefined;
      if (key !== undefined) return key;
    }
    if (failures > 0 || !areGood()) throw unavailable();
    return undefined;
  }

  return {
    find(keyId, algorithm) {
      const key = areGood() ? findKey(keys, keyId, algorithm) : undefined;
      return key ?? search(keyId, algorithm);
    },
    has: (key) => areGood() && keys.some((known) => known.key === key),
    start() {
      started = true;
      void refresh();
    },
    stop() {
      started = false;
      clearTimeout(timer);
    },
  };
}

/** Fetched keys, those that were known before as the same objects: tokens that they verified need not be verified again. */
function keepKnown(fetched: readonly VerificationKey[], known: readonly VerificationKey[]): readonly VerificationKey[] {
  return fetched.map((key) => known.find((before) => isSameKey(key, before)) ?? key);
}

function isSameKey(one: VerificationKey, other: VerificationKey): boolean {
  const sameUse = [...one.algorithms].join() === [...other.algorithms].join();
  return one.keyId === other.keyId && sameUse && one.key.equals(other.key);
}
