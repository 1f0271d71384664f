import { hash } from "node:crypto";
import { errors, jwtVerify, SignJWT } from "jose";
import { type Awaitable, chain } from "../../../shared/awaitable.ts";
import { acrOf } from "../acr.ts";
import type { Clock, RandomBytes } from "../clock.ts";
import type { ExternalIdentity } from "../external/external-identity.ts";
import type { Principal } from "../principal.ts";
import type { Revocation } from "../revocations.ts";
import { parseClaims, parseHeader, tokenType } from "./access-token-form.ts";
import type { KeyRing } from "./key-ring.ts";
import { newTokenId } from "./token-id.ts";
import { createVerifiedTokens, type VerifiedToken } from "./verified-tokens.ts";

/** What an access token says. Times are milliseconds since the epoch. */
export interface AccessToken {
  /** `jti`. */
  readonly id: string;
  readonly principalType: Principal["type"];
  /** `sub`: id of the principal. */
  readonly subject: string;
  /** `sid`: the session it came of; it ends with it. */
  readonly sessionId?: string;
  /** OAuth client that it was issued to. */
  readonly clientId?: string;
  readonly scopes: readonly string[];
  readonly audiences: readonly string[];
  /** Methods of authentication (RFC 8176). */
  readonly amr: readonly string[];
  /** What another issuer said of the principal, when it was exchanged for a token of that issuer. */
  readonly external?: ExternalIdentity;
  readonly issueTime: number;
  readonly expireTime: number;
}

/** What a token is to say. */
export interface AccessTokenGrant extends Omit<AccessToken, "id" | "issueTime" | "expireTime" | "audiences"> {
  /** Default: the audience of this service. */
  readonly audiences?: readonly string[];
  /** When it expires at the latest. Default: after the usual time. */
  readonly notAfter?: number;
}

export interface AccessTokensOptions {
  readonly keys: KeyRing;
  /** `iss` (RFC 8414). */
  readonly issuer: string;
  /** Audience of this service: in tokens by default, and required of those that are presented to it. */
  readonly audience: string;
  /** How long a token is valid, in milliseconds. */
  readonly ttlMs: number;
  /** By how much clocks may differ, in milliseconds. */
  readonly skewMs: number;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Most verified tokens that are remembered; 0: none. */
  readonly cacheSize: number;
  /** Told whether a signature was remembered. */
  readonly observer?: { hit(): void; miss(): void };
}

export interface IssuedAccessToken {
  /** The JWT. Secret. */
  readonly text: string;
  readonly token: AccessToken;
}

/**
 * Access tokens as JWTs (RFC 9068).
 *
 * Whether a token was revoked and its session lives is not in it: the store says.
 */
export interface AccessTokens {
  readonly issuer: string;
  readonly audience: string;
  /** @throws ServiceError UNAVAILABLE when there is no key to be had. */
  issue(grant: AccessTokenGrant): Promise<IssuedAccessToken>;
  /**
   * What a token says, when it is one of ours, unchanged, and not expired, for whatever audience; undefined otherwise.
   *
   * @throws ServiceError UNAVAILABLE when its key cannot be looked up.
   */
  verify(text: string): Awaitable<AccessToken | undefined>;
  /** Forgets the verified tokens that a revocation concerns, or all. */
  forget(revocation: Revocation | undefined): void;
}

/** Most bytes of a token, those of `bearer_token` in the contract. */
const maxBytes = 16_384;
const shape = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** Whether a bearer token is to be read as a JWT; session tokens have no dots. */
export function looksLikeJwt(text: string): boolean {
  return text.includes(".");
}

export function createAccessTokens(options: AccessTokensOptions): AccessTokens {
  const { keys, issuer, audience, ttlMs, skewMs, clock, random, cacheSize, observer } = options;
  const cache = createVerifiedTokens(cacheSize);

  async function check(text: string): Promise<VerifiedToken | undefined> {
    const header = parseHeader(text.slice(0, text.indexOf(".")));
    const key = header && (await keys.find(header.kid));
    // The key says which algorithm it is for, never the token.
    if (key === undefined || key.algorithm !== header?.alg) return undefined;
    try {
      const { payload } = await jwtVerify(text, key.publicKey, {
        algorithms: [key.algorithm],
        typ: tokenType,
        issuer,
        requiredClaims: ["sub", "aud", "exp", "iat", "jti"],
        clockTolerance: skewMs / 1_000,
        currentDate: new Date(clock()),
      });
      const token = parseClaims(payload);
      return token !== undefined && token.issueTime <= clock() + skewMs ? { token, kid: key.kid } : undefined;
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined;
      throw error;
    }
  }

  return {
    issuer,
    audience,
    async issue({ notAfter = Number.POSITIVE_INFINITY, audiences = [audience], ...grant }) {
      const key = await keys.signer();
      const now = clock();
      const expireTime = 1_000 * Math.floor(Math.min(now + ttlMs, notAfter) / 1_000);
      const id = newTokenId(grant.subject, now, random);
      const { principalType, subject, sessionId, clientId, scopes, amr, external } = grant;
      const jwt = new SignJWT({
        principal_type: principalType,
        ...(sessionId === undefined ? {} : { sid: sessionId }),
        ...(clientId === undefined ? {} : { client_id: clientId }),
        ...(scopes.length === 0 ? {} : { scope: scopes.join(" ") }),
        ...(amr.length === 0 ? {} : { amr: [...amr] }),
        ...(external === undefined ? {} : { external }),
        ...(principalType === "User" && amr.length > 0 ? { acr: acrOf(amr) } : {}),
      })
        .setIssuer(issuer)
        .setSubject(subject)
        .setAudience(audiences.length === 1 ? audiences[0]! : [...audiences])
        .setJti(id)
        .setIssuedAt(Math.floor(now / 1_000))
        .setExpirationTime(expireTime / 1_000)
        .setProtectedHeader({ alg: key.algorithm, typ: tokenType, kid: key.kid });
      const text = await jwt.sign(key.privateKey);
      return { text, token: { ...grant, id, audiences, issueTime: now, expireTime } };
    },
    verify(text) {
      if (text.length > maxBytes || !shape.test(text)) return undefined;
      const name = hash("sha256", text, "base64url");
      const known = cache.get(name);
      if (known !== undefined && keys.has(known.kid) && clock() < known.token.expireTime + skewMs) {
        observer?.hit();
        return known.token;
      }
      observer?.miss();
      return chain(check(text), (verified) => {
        if (verified === undefined) cache.delete(name);
        else cache.set(name, verified);
        return verified?.token;
      });
    },
    forget(revocation) {
      if (revocation === undefined) cache.clear();
      else cache.forget(revocation);
    },
  };
}
