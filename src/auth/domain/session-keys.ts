import { hash } from "node:crypto";
import type { RandomBytes } from "./clock.ts";

/**
 * Where a session is: its user's partition, and the hash of its token.
 *
 * A partition is the first 16 bits of SHA-256 of a user's name, in hexadecimal. It is the beginning of the user's session
 * tokens and ids, so that a store which spreads its keys can keep all of a user's together and still find a session by
 * its token, or by its id, in one read.
 */
export interface SessionKey {
  readonly partition: string;
  /** SHA-256 of the token, in base64url. The token itself is never kept. */
  readonly tokenHash: string;
}

const partitionBytes = 2;
const tokenBytes = 32;
const idBytes = 16;
/** 34 bytes in base64url take 46 characters, of which the last carries no more than two bits. */
const tokenShape = /^[A-Za-z0-9_-]{45}[AQgw]$/;
const idShape = /^[A-Za-z0-9_-]{24}$/;

export function partitionOf(user: string): string {
  return hash("sha256", user, "hex").slice(0, 2 * partitionBytes);
}

/** A new token of a user: the partition and 256 random bits, in base64url. */
export function newSessionToken(user: string, random: RandomBytes): string {
  return prefixed(user, random(tokenBytes));
}

/** A new session id of a user: the partition and 128 random bits, in base64url. Names a session, does not open it. */
export function newSessionId(user: string, random: RandomBytes): string {
  return prefixed(user, random(idBytes));
}

/** Where the session of a token would be; undefined when no session token looks like it. */
export function sessionKeyOf(token: string): SessionKey | undefined {
  if (!tokenShape.test(token)) return undefined;
  return { partition: leadingPartition(token), tokenHash: hash("sha256", token, "base64url") };
}

/** The partition of a session id; undefined when no session id looks like it. */
export function partitionOfId(id: string): string | undefined {
  return idShape.test(id) ? leadingPartition(id) : undefined;
}

function prefixed(user: string, random: Uint8Array): string {
  return Buffer.concat([Buffer.from(partitionOf(user), "hex"), random]).toString("base64url");
}

function leadingPartition(text: string): string {
  // Four characters are three bytes; two of them are the partition.
  return Buffer.from(text.slice(0, 4), "base64url").toString("hex", 0, partitionBytes);
}
