import * as v from "valibot";
import type { ConfigFields } from "../shared/config/config.ts";
import { duration, integer, oneOf, text } from "../shared/config/parsers.ts";
import { parseEncryptionKeys } from "./domain/secret-box.ts";
import { parseScopes } from "./domain/tokens/scopes.ts";
import { type SigningAlgorithm, signingAlgorithms } from "./domain/tokens/signing-keys.ts";

/** Settings of tokens. Names that end in `Ms` are in milliseconds. */
export interface TokenSettings {
  /** Keys that encrypt what the store keeps, the current one first. */
  readonly encryptionKeys: readonly Uint8Array[];
  /** Empty when no tokens are issued. */
  readonly issuer: string;
  readonly tokenAudience: string;
  readonly accessTokenTtlMs: number;
  readonly tokenClockSkewMs: number;
  readonly tokenCacheSize: number;
  readonly refreshGraceMs: number;
  readonly userScopes: readonly string[];
  readonly signingAlgorithm: SigningAlgorithm;
  readonly signingKeyRotationMs: number;
  readonly signingKeyLeadMs: number;
}

/** No access token is ever valid for longer, in milliseconds. */
export const longestAccessTokenMs = 86_400_000;
/** No clocks may differ by more, in milliseconds. */
export const largestSkewMs = 60_000;

const encryptionKeyList: v.GenericSchema<string, readonly Uint8Array[]> = v.pipe(
  v.string(),
  v.check(
    (list) => list === "" || areEncryptionKeys(list),
    "must be 32 bytes in base64, or several of them separated by commas",
  ),
  v.transform((list) => (list === "" ? [] : parseEncryptionKeys(list))),
);

function areEncryptionKeys(list: string): boolean {
  try {
    return parseEncryptionKeys(list).length > 0;
  } catch {
    return false;
  }
}

const issuerUrl: v.GenericSchema<string, string> = v.pipe(
  v.string(),
  v.check(
    (url) =>
      url === "" || (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol) && new URL(url).origin === url),
    "must be an http or https URL without path, query and final slash, such as https://auth.example.com",
  ),
);

const scopeList: v.GenericSchema<string, readonly string[]> = v.pipe(
  v.string(),
  v.check((scopes) => parseScopes(scopes) !== undefined, "must be at most 64 scopes separated by spaces"),
  v.transform((scopes) => parseScopes(scopes)!),
);

/** Where each comes from. */
export const tokenFields: ConfigFields<TokenSettings> = {
  encryptionKeys: {
    env: "AUTH_ENCRYPTION_KEY",
    doc: "Encrypts signing keys and the secrets of authenticators in the store: 32 bytes in base64 (`openssl rand -base64 32`), the same on every replica. Several, separated by commas: the first encrypts, all decrypt. Required with AUTH_ISSUER, and for authenticators; the demo profile makes one in DATA_DIR.",
    schema: encryptionKeyList,
    fallback: "",
    sensitive: true,
  },
  issuer: {
    env: "AUTH_ISSUER",
    doc: "URL that tokens name as their issuer, and under which clients reach the HTTP edge: `https://auth.example.com`. Unset: no access tokens are issued; the demo profile takes its own address.",
    schema: issuerUrl,
    fallback: "",
  },
  tokenAudience: {
    env: "TOKEN_AUDIENCE",
    doc: "Audience of access tokens by default, and required of those that are presented to this service.",
    schema: v.pipe(text, v.minLength(1), v.maxLength(256)),
    fallback: "gatehouse",
  },
  accessTokenTtlMs: {
    env: "ACCESS_TOKEN_TTL",
    doc: "How long an access token is valid.",
    schema: duration(10_000, longestAccessTokenMs),
    fallback: "15m",
  },
  tokenClockSkewMs: {
    env: "TOKEN_CLOCK_SKEW",
    doc: "By how much clocks may differ when the times of a token are checked.",
    schema: duration(0, largestSkewMs),
    fallback: "5s",
  },
  tokenCacheSize: {
    env: "TOKEN_CACHE_SIZE",
    doc: "Most access tokens whose verified signature is remembered. Revocations and sessions are asked for each time all the same. 0: none.",
    schema: integer(0, 1_000_000),
    fallback: "10000",
  },
  refreshGraceMs: {
    env: "REFRESH_GRACE",
    doc: "How long a spent refresh token is answered with the same successor again, for clients whose requests raced. After it, its use ends the session. 0s: at once.",
    schema: duration(0, 300_000),
    fallback: "10s",
  },
  userScopes: {
    env: "USER_SCOPES",
    doc: "Scopes that tokens of users may have, separated by spaces.",
    schema: scopeList,
    fallback: "",
  },
  signingAlgorithm: {
    env: "TOKEN_SIGNING_ALGORITHM",
    doc: "Signature algorithm of new keys: `ES256`, `EdDSA` or `RS256`. A changed one takes effect by a rotation.",
    schema: oneOf(...signingAlgorithms),
    fallback: "ES256",
  },
  signingKeyRotationMs: {
    env: "SIGNING_KEY_ROTATION",
    doc: "How long a key signs before the next one does.",
    schema: duration(60_000),
    fallback: "30d",
  },
  signingKeyLeadMs: {
    env: "SIGNING_KEY_LEAD",
    doc: "How long a key is published before it signs: longer than anybody caches the JWKS.",
    schema: duration(0, 7 * 86_400_000),
    fallback: "1h",
  },
};
