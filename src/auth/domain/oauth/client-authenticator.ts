import { createLocalJWKSet, decodeJwt, errors, type JWTPayload, jwtVerify } from "jose";
import { type ClientStore, isClientSecret, isPublicClient, type OAuthClient } from "../clients.ts";
import type { Clock } from "../clock.ts";

/** How a client says who it is. */
export type PresentedClient =
  /** By its secret, in the header or the body (RFC 6749 section 2.3.1). */
  | { readonly kind: "secret"; readonly id: string; readonly secret: string }
  /** By a JWT that it signed: `private_key_jwt` (RFC 7523 section 2.2). */
  | { readonly kind: "assertion"; readonly assertion: string; readonly id?: string }
  /** By its name alone. */
  | { readonly kind: "public"; readonly id: string };

export interface ClientAuthenticatorOptions {
  readonly clients: ClientStore;
  /** What the audience of an assertion may be: the issuer, or the token endpoint. */
  readonly audiences: readonly string[];
  readonly clock: Clock;
  /** By how much clocks may differ, in milliseconds. */
  readonly skewMs: number;
}

/**
 * Answers the client, or undefined when it is unknown, disabled, or not the one it says it is.
 *
 * @throws ServiceError UNAVAILABLE when the store cannot be reached.
 */
export type ClientAuthenticator = (presented: PresentedClient) => Promise<OAuthClient | undefined>;

/** Algorithms of client assertions, all asymmetric: a secret is never a key. */
export const assertionAlgorithms = ["ES256", "ES384", "EdDSA", "Ed25519", "PS256", "RS256"] as const;

/** An assertion is refused when it is valid for longer: its `jti` is remembered until then. In milliseconds. */
const longestAssertionMs = 600_000;
const maxAssertionLength = 8_192;
const maxAssertionIdLength = 256;

export function createClientAuthenticator(options: ClientAuthenticatorOptions): ClientAuthenticator {
  const { clients, audiences, clock, skewMs } = options;

  async function bySecret(id: string, secret: string): Promise<OAuthClient | undefined> {
    const client = await clients.find(id);
    return isClientSecret(client, secret) ? client : undefined;
  }

  async function byAssertion(assertion: string, id: string | undefined): Promise<OAuthClient | undefined> {
    const claimed = assertion.length <= maxAssertionLength ? subjectOf(assertion) : undefined;
    if (claimed === undefined || (id !== undefined && id !== claimed)) return undefined;
    const client = await clients.find(claimed);
    const claims = client && (await verify(assertion, client));
    if (client === undefined || claims === undefined) return undefined;
    const { jti = "", exp = 0 } = claims;
    const expireTime = exp * 1_000;
    if (jti === "" || jti.length > maxAssertionIdLength || expireTime > clock() + longestAssertionMs) return undefined;
    return (await clients.useAssertion(client.id, jti, expireTime + skewMs)) ? client : undefined;
  }

  async function verify(assertion: string, { id, jwks }: OAuthClient): Promise<JWTPayload | undefined> {
    if (jwks.length === 0) return undefined;
    try {
      const { payload } = await jwtVerify(assertion, createLocalJWKSet({ keys: [...jwks] }), {
        algorithms: [...assertionAlgorithms],
        issuer: id,
        subject: id,
        audience: [...audiences],
        requiredClaims: ["exp", "jti"],
        clockTolerance: skewMs / 1_000,
        currentDate: new Date(clock()),
      });
      return payload;
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined;
      throw error;
    }
  }

  async function byName(id: string): Promise<OAuthClient | undefined> {
    const client = await clients.find(id);
    return client !== undefined && isPublicClient(client) ? client : undefined;
  }

  async function authenticate(presented: PresentedClient): Promise<OAuthClient | undefined> {
    switch (presented.kind) {
      case "secret":
        return await bySecret(presented.id, presented.secret);
      case "assertion":
        return await byAssertion(presented.assertion, presented.id);
      case "public":
        return await byName(presented.id);
    }
  }

  return async (presented) => {
    const client = await authenticate(presented);
    return client?.disabled === false ? client : undefined;
  };
}

/** Whose assertion it claims to be. Nothing of it is verified yet. */
function subjectOf(assertion: string): string | undefined {
  try {
    const { sub } = decodeJwt(assertion);
    return typeof sub === "string" ? sub : undefined;
  } catch {
    return undefined;
  }
}
