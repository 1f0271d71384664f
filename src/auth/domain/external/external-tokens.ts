import { hash, type KeyObject } from "node:crypto";
import { errors, jwtVerify } from "jose";
import { LRUCache } from "lru-cache";
import { type Awaitable, chain } from "../../../shared/awaitable.ts";
import type { Clock } from "../clock.ts";
import type { ExternalSubject, SubjectMapper } from "./claim-mapping.ts";
import type { IssuerKeys } from "./issuer-keys.ts";
import { readUnverified, type UnverifiedToken } from "./unverified-token.ts";
import type { ExternalAlgorithm } from "./verification-keys.ts";

/** An issuer whose tokens are accepted, and how. */
export interface ExternalIssuer {
  /** `iss`, to the letter. */
  readonly name: string;
  /** Of which a token must be for one. Never empty. */
  readonly audiences: readonly [string, ...string[]];
  readonly algorithms: readonly ExternalAlgorithm[];
  /** `typ` that tokens must have; undefined: any. */
  readonly tokenType?: string;
  /** How long a token is good after it was issued, whatever its expiry, in milliseconds: no longer than revocations are kept. */
  readonly maxAgeMs: number;
  /** By how much clocks may differ, in milliseconds. */
  readonly skewMs: number;
  readonly keys: IssuerKeys;
  readonly subjectOf: SubjectMapper;
}

/** What a token of another issuer says. Times are milliseconds since the epoch. */
export interface ExternalToken extends ExternalSubject {
  readonly issueTime: number;
  /** When it is too old, if that comes before its expiry. */
  readonly expireTime: number;
}

export interface ExternalTokensOptions {
  readonly issuers: readonly ExternalIssuer[];
  readonly clock: Clock;
  /** Most verified tokens that are remembered; 0: none. */
  readonly cacheSize: number;
  /** Told whether a token was remembered. */
  readonly observer?: { hit(): void; miss(): void };
}

/**
 * What a token says, when it is good: of a configured issuer, signed by one of its keys with an algorithm it is allowed, for
 * an audience that is wanted, in its time, and of somebody. Undefined otherwise.
 *
 * Throws ServiceError UNAVAILABLE when the issuer's keys cannot be fetched.
 */
export type ExternalTokens = (text: string) => Awaitable<ExternalToken | undefined>;

interface Remembered {
  readonly token: ExternalToken;
  readonly issuer: ExternalIssuer;
  readonly key: KeyObject;
}

/** Bounds what is remembered of many large tokens, in characters of a token. */
const meanLength = 2_048;

export function createExternalTokens({ issuers, clock, cacheSize, observer }: ExternalTokensOptions): ExternalTokens {
  const byName = new Map(issuers.map((issuer) => [issuer.name, issuer]));
  const cache =
    cacheSize === 0 ? undefined : new LRUCache<string, Remembered>({ max: cacheSize, maxSize: cacheSize * meanLength });

  async function check(text: string, issuer: ExternalIssuer, key: KeyObject): Promise<ExternalToken | undefined> {
    const { algorithms, audiences, tokenType, maxAgeMs, skewMs } = issuer;
    try {
      const { payload } = await jwtVerify(text, key, {
        algorithms: [...algorithms],
        issuer: issuer.name,
        audience: [...audiences],
        ...(tokenType === undefined ? {} : { typ: tokenType }),
        requiredClaims: ["exp"],
        // Which has it be there, and not in the future.
        maxTokenAge: maxAgeMs / 1_000,
        clockTolerance: skewMs / 1_000,
        currentDate: new Date(clock()),
      });
      const { iat = 0, exp = 0 } = payload;
      const subject = issuer.subjectOf(payload);
      if (subject === undefined) return undefined;
      const issueTime = iat * 1_000;
      return { ...subject, issueTime, expireTime: Math.min(Math.floor(exp) * 1_000, issueTime + maxAgeMs) };
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined;
      throw error;
    }
  }

  function verify(text: string, name: string, issuer: ExternalIssuer, claimed: UnverifiedToken) {
    return chain(issuer.keys.find(claimed.keyId, claimed.algorithm), (key) => {
      if (key === undefined) return undefined;
      return chain(check(text, issuer, key), (token) => {
        if (token !== undefined) cache?.set(name, { token, issuer, key }, { size: text.length });
        return token;
      });
    });
  }

  return (text) => {
    const name = hash("sha256", text, "base64url");
    const known = cache?.get(name);
    if (known !== undefined) {
      const { token, issuer, key } = known;
      if (issuer.keys.has(key) && clock() < token.expireTime + issuer.skewMs) {
        observer?.hit();
        return token;
      }
      cache?.delete(name);
    }
    const claimed = readUnverified(text);
    const issuer = claimed && byName.get(claimed.issuer);
    // Asked before the keys: whatever else is wrong with it, such a token is no reason to fetch any.
    if (issuer?.algorithms.some((algorithm) => algorithm === claimed?.algorithm) !== true) return undefined;
    observer?.miss();
    return verify(text, name, issuer, claimed!);
  };
}
