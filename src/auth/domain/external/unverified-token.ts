/** What a JWT claims before anything of it is verified: enough to know by whose keys it is to be verified. */
export interface UnverifiedToken {
  readonly issuer: string;
  readonly algorithm: string;
  /** Undefined when it names no key. */
  readonly keyId: string | undefined;
}

/** Most bytes of a token, those of `external_token` in the contract. */
const maxLength = 16_384;
const maxHeaderLength = 8_192;
const maxKeyIdLength = 256;
const shape = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+$/;

/** Reads a JWT; undefined when it is none, or has no issuer or a key id that is no text. */
export function readUnverified(text: string): UnverifiedToken | undefined {
  const [, header, payload] = (text.length <= maxLength && shape.exec(text)) || [];
  if (header === undefined || payload === undefined || header.length > maxHeaderLength) return undefined;
  const { alg: algorithm, kid: keyId } = parsePart(header);
  const { iss: issuer } = parsePart(payload);
  if (typeof issuer !== "string" || typeof algorithm !== "string") return undefined;
  if (keyId === undefined) return { issuer, algorithm, keyId };
  return typeof keyId === "string" && keyId.length <= maxKeyIdLength ? { issuer, algorithm, keyId } : undefined;
}

/** The issuer that a token claims to be of; undefined when it is no JWT or has none. */
export function issuerOf(text: string): string | undefined {
  return readUnverified(text)?.issuer;
}

function parsePart(encoded: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(encoded, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
