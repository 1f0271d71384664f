import { createHmac, timingSafeEqual } from "node:crypto";

/** What every authenticator app supports: HMAC-SHA-1, six digits, a new code each 30 seconds. */
const digits = 6;
const periodMs = 30_000;
/** Steps of clock drift that are allowed, either way (RFC 6238 section 5.2). */
const drift = 1;

/** Bytes of a new secret, as RFC 4226 section 4 recommends. */
export const totpSecretBytes = 20;

/** The code of a time step (RFC 6238), which is the counter of RFC 4226. */
export function totpCode(secret: Uint8Array, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac("sha1", secret).update(counter).digest();
  const truncated = mac.readUInt32BE(mac[mac.length - 1]! & 0xf) & 0x7fff_ffff;
  return String(truncated % 10 ** digits).padStart(digits, "0");
}

/** The time step of a moment. */
export function totpStep(now: number): number {
  return Math.floor(now / periodMs);
}

/**
 * The step whose code this is, among the current one and its neighbours; undefined when it is none of theirs. Takes the same
 * time in any case. Whether the step was used before is for the caller to see to.
 */
export function matchTotp(secret: Uint8Array, code: string, now: number): number | undefined {
  const current = totpStep(now);
  const given = Buffer.from(code);
  let matched: number | undefined;
  for (let step = current - drift; step <= current + drift; step += 1) {
    const expected = Buffer.from(totpCode(secret, step));
    if (given.length === expected.length && timingSafeEqual(given, expected)) matched = step;
  }
  return matched;
}

const base32Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** Base32 (RFC 4648 section 6) without padding, as authenticator apps take it. */
export function base32(bytes: Uint8Array): string {
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, "0")).join("");
  return (bits.match(/.{1,5}/g) ?? []).map((five) => base32Alphabet[Number.parseInt(five.padEnd(5, "0"), 2)]).join("");
}

/** An `otpauth` URI for an authenticator app (the format of Google Authenticator's Key Uri Format). */
export function otpauthUri(secret: Uint8Array, user: string, issuer: string): string {
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(user)}`;
  const parameters = { secret: base32(secret), issuer, algorithm: "SHA1", digits, period: periodMs / 1_000 };
  // Not URLSearchParams: some apps show the `+` that it makes of a space.
  const query = Object.entries(parameters).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return `otpauth://totp/${label}?${query.join("&")}`;
}
