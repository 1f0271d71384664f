import { hash } from "node:crypto";
import type { RandomBytes } from "./clock.ts";

const count = 10;
/** 80 bits: too many to be guessed from a hash that takes no time, so that codes need neither salt nor argon2. */
const codeBytes = 10;
/** Crockford's base32: no letter looks like a digit. */
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** Ten new codes such as `7QZP-04M8-T9XK-B2C6`. */
export function newBackupCodes(random: RandomBytes): string[] {
  return Array.from({ length: count }, () => format(random(codeBytes)));
}

/**
 * What is kept of a user's code: SHA-256 of both, in base64url. Case, hyphens and spaces do not matter, and neither does
 * whether O or 0, I, L or 1 was typed. Undefined when no code looks like it.
 */
export function hashBackupCode(user: string, code: string): string | undefined {
  const plain = code.toUpperCase().replace(/[\s-]/g, "").replaceAll("O", "0").replace(/[IL]/g, "1");
  return /^[0-9A-HJKMNP-TV-Z]{16}$/.test(plain) ? hash("sha256", `${user}\0${plain}`, "base64url") : undefined;
}

function format(bytes: Uint8Array): string {
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, "0")).join("");
  const letters = bits.match(/.{5}/g)!.map((five) => alphabet[Number.parseInt(five, 2)]);
  return letters.join("").match(/.{4}/g)!.join("-");
}
