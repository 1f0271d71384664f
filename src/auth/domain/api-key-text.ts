import { hash } from "node:crypto";
import { crc32 } from "node:zlib";
import { looksLikeApiKey } from "../../shared/api-key-form.ts";
import type { RandomBytes } from "./clock.ts";
import { partitionOf } from "./session-keys.ts";

/**
 * The text of an API key: `gh_`, then 48 bytes in base64url.
 *
 * | bytes | |
 * |---|---|
 * | 2 | partition of its user, see session-keys.ts |
 * | 10 | random; with the partition, they are the id of the key |
 * | 32 | random: the secret |
 * | 4 | CRC-32 of all before it, most significant byte first |
 *
 * The prefix lets scanners find a key that has leaked, and the checksum lets anybody tell a mistyped key without a look-up.
 * A CRC finds every change within five characters in a row.
 */
export interface ApiKeyText {
  readonly id: string;
  /** Secret. */
  readonly text: string;
}

const prefix = "gh_";
const partitionBytes = 2;
const randomIdBytes = 10;
const secretBytes = 32;
const checkedBytes = partitionBytes + randomIdBytes + secretBytes;
/** Sixteen characters are twelve bytes: the id ends where a character does. */
const idCharacters = 16;
const idShape = /^[A-Za-z0-9_-]{16}$/;

export function newApiKey(user: string, random: RandomBytes): ApiKeyText {
  const bytes = Buffer.alloc(checkedBytes + 4);
  bytes.write(partitionOf(user), "hex");
  bytes.set(random(randomIdBytes + secretBytes), partitionBytes);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, checkedBytes)), checkedBytes);
  const body = bytes.toString("base64url");
  return { id: body.slice(0, idCharacters), text: prefix + body };
}

/** Answers the id of a key; undefined when the text is none, or was mistyped. */
export function apiKeyIdOf(text: string): string | undefined {
  if (!looksLikeApiKey(text)) return undefined;
  const bytes = Buffer.from(text.slice(prefix.length), "base64url");
  if (crc32(bytes.subarray(0, checkedBytes)) !== bytes.readUInt32BE(checkedBytes)) return undefined;
  return text.slice(prefix.length, prefix.length + idCharacters);
}

/** The partition of the user of a key; undefined when no id looks like it. */
export function partitionOfApiKey(id: string): string | undefined {
  return idShape.test(id) ? Buffer.from(id, "base64url").toString("hex", 0, partitionBytes) : undefined;
}

/** What is kept of a key's text. With 256 random bits in it, one round of SHA-256 is as good as many. */
export function apiKeyHash(text: string): string {
  return hash("sha256", text, "base64url");
}
