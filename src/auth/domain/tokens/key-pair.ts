import { type CryptoKey, calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from "jose";
import type { SecretBox } from "../secret-box.ts";
import type { SigningAlgorithm, SigningKeyRecord } from "./signing-keys.ts";

/** A signing key, ready for use. */
export interface KeyPair {
  readonly kid: string;
  readonly algorithm: SigningAlgorithm;
  readonly activateTime: number;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  /** Public key with `kid`, `alg` and `use` (RFC 7517), as the JWKS shows it. */
  readonly publicJwk: JWK;
}

/** Makes a new key. It is kept in its sealed form only. */
export async function generateKeyRecord(
  algorithm: SigningAlgorithm,
  box: SecretBox,
  createTime: number,
  activateTime: number,
): Promise<SigningKeyRecord> {
  const { privateKey } = await generateKeyPair(algorithm, { extractable: true });
  const jwk = await exportJWK(privateKey);
  const kid = await calculateJwkThumbprint(jwk);
  const record = { kid, algorithm, createTime, activateTime };
  return { ...record, sealed: box.seal(Buffer.from(JSON.stringify(jwk)), placeOf(record)) };
}

/** @throws SecretBoxError when the record was not sealed by a configured key just so. */
export async function openKeyRecord(record: SigningKeyRecord, box: SecretBox): Promise<KeyPair> {
  const { kid, algorithm, activateTime } = record;
  const jwk = openPrivateJwk(record, box);
  const publicJwk = publicPart(jwk);
  return {
    kid,
    algorithm,
    activateTime,
    privateKey: (await importJWK(jwk, algorithm)) as CryptoKey,
    publicKey: (await importJWK(publicJwk, algorithm)) as CryptoKey,
    publicJwk: { ...publicJwk, kid, alg: algorithm, use: "sig" },
  };
}

/** @throws SecretBoxError */
export function openPrivateJwk(record: SigningKeyRecord, box: SecretBox): JWK {
  return JSON.parse(box.open(record.sealed, placeOf(record)).toString("utf8")) as JWK;
}

/** Binds the private key to all that is said of it. */
function placeOf({ kid, algorithm, createTime, activateTime }: Omit<SigningKeyRecord, "sealed">): string {
  return `signing-key ${kid} ${algorithm} ${createTime} ${activateTime}`;
}

function publicPart({ kty, crv, x, y, n, e }: JWK): JWK {
  const members = Object.entries({ kty, crv, x, y, n, e }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(members) as unknown as JWK;
}
