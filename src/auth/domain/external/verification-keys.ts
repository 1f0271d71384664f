import { createPublicKey, type KeyObject } from "node:crypto";
import type { JWK } from "jose";

/** Algorithms of tokens of other issuers, all asymmetric: a public key is never taken for a secret (RFC 8725 section 2.1). */
export const externalAlgorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
] as const;

export type ExternalAlgorithm = (typeof externalAlgorithms)[number];

/** A public key of an issuer. */
export interface VerificationKey {
  readonly keyId: string | undefined;
  /** What it may be used with. */
  readonly algorithms: ReadonlySet<string>;
  readonly key: KeyObject;
}

const maxKeys = 200;
const minRsaBits = 2_048;
const maxRsaBits = 8_192;

/**
 * The keys of a JWK set (RFC 7517) that signatures can be verified with. Others are passed over, as section 5 wants it: keys
 * for encryption, of unknown kinds, too short, and those that are no public keys.
 *
 * @returns undefined when it is no JWK set, or has too many keys.
 */
export function parseKeySet(value: unknown): readonly VerificationKey[] | undefined {
  const keys = isObject(value) ? value.keys : undefined;
  if (!Array.isArray(keys) || keys.length > maxKeys) return undefined;
  return keys.flatMap((jwk: unknown) => {
    const key = isObject(jwk) ? parseKey(jwk) : undefined;
    return key === undefined ? [] : [key];
  });
}

/** The key that a token is to be verified with; undefined when there is none, or it cannot be told which. */
export function findKey(
  keys: readonly VerificationKey[],
  keyId: string | undefined,
  algorithm: string,
): KeyObject | undefined {
  const fitting = keys.filter((key) => (keyId === undefined || key.keyId === keyId) && key.algorithms.has(algorithm));
  return fitting.length === 1 ? fitting[0]?.key : undefined;
}

/** A public key for signatures; undefined when a JWK is none. */
export function parseKey(jwk: Readonly<Record<string, unknown>>): VerificationKey | undefined {
  const { kid, alg, use, key_ops: operations, d, k } = jwk;
  if (d !== undefined || k !== undefined) return undefined;
  if (use !== undefined && use !== "sig") return undefined;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) return undefined;
  if (kid !== undefined && typeof kid !== "string") return undefined;
  const fitting = algorithmsOf(jwk);
  const algorithms = alg === undefined ? fitting : fitting.filter((name) => sameAlgorithm(name, alg));
  if (algorithms.length === 0) return undefined;
  try {
    const key = createPublicKey({ key: jwk as JWK, format: "jwk" });
    const bits = key.asymmetricKeyDetails?.modulusLength;
    if (bits !== undefined && (bits < minRsaBits || bits > maxRsaBits)) return undefined;
    return { keyId: kid, algorithms: new Set(algorithms), key };
  } catch {
    return undefined;
  }
}

function algorithmsOf({ kty, crv }: Readonly<Record<string, unknown>>): readonly ExternalAlgorithm[] {
  if (kty === "RSA") return ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
  if (kty === "OKP" && crv === "Ed25519") return ["EdDSA", "Ed25519"];
  if (kty !== "EC") return [];
  if (crv === "P-256") return ["ES256"];
  if (crv === "P-384") return ["ES384"];
  return crv === "P-521" ? ["ES512"] : [];
}

/** `EdDSA` and `Ed25519` are two names of one algorithm (RFC 9864). */
function sameAlgorithm(name: ExternalAlgorithm, alg: unknown): boolean {
  return name === alg || (alg === "EdDSA" && name === "Ed25519") || (alg === "Ed25519" && name === "EdDSA");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
