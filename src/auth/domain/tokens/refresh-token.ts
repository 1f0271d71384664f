import { createHash } from "node:crypto";
import type { RandomBytes } from "../clock.ts";
import { createSecretBox } from "../secret-box.ts";
import { partitionOfId } from "../session-keys.ts";

/**
 * A refresh token: `gtr_`, the id of its session, the secret of the series and its own secret.
 *
 * The series stays for the life of the session, and only holders of its tokens know it: whoever presents it with a secret that
 * is not the current one presents a spent token. Nobody can pretend a theft who merely knows the id of a session.
 */
export interface RefreshToken {
  readonly text: string;
  readonly sessionId: string;
  readonly partition: string;
  /** SHA-256 of the secret of the series, in base64url. */
  readonly seriesHash: string;
  /** SHA-256 of its own secret, in base64url. */
  readonly hash: string;
}

const secretBytes = 32;
const shape = /^gtr_([A-Za-z0-9_-]{24})([A-Za-z0-9_-]{43})([A-Za-z0-9_-]{43})$/;

/** First token of a session. */
export function newRefreshToken(sessionId: string, random: RandomBytes): RefreshToken {
  return parseRefreshToken(`gtr_${sessionId}${secret(random)}${secret(random)}`)!;
}

/** The next token of the same series. */
export function successorOf({ text }: RefreshToken, random: RandomBytes): RefreshToken {
  return parseRefreshToken(`${text.slice(0, -43)}${secret(random)}`)!;
}

/** Undefined when no refresh token looks like it. */
export function parseRefreshToken(text: string): RefreshToken | undefined {
  const [, sessionId = "", series = "", own = ""] = shape.exec(text) ?? [];
  const partition = partitionOfId(sessionId);
  if (partition === undefined) return undefined;
  return { text, sessionId, partition, seriesHash: sha256(series), hash: sha256(own) };
}

/**
 * Encrypts the successor of a token so that the token alone opens it: for a client whose two requests raced, the store can
 * answer the same successor again without ever holding it.
 */
export function sealSuccessor(spent: RefreshToken, successor: RefreshToken, random: RandomBytes): string {
  return createSecretBox([keyOf(spent)], random).seal(Buffer.from(successor.text), spent.sessionId);
}

/** @throws SecretBoxError when it was not sealed for this token. */
export function openSuccessor(spent: RefreshToken, sealed: string): RefreshToken {
  return parseRefreshToken(
    createSecretBox([keyOf(spent)], noRandom)
      .open(sealed, spent.sessionId)
      .toString("utf8"),
  )!;
}

/** The token has 256 random bits twice: one hash makes a key of it. */
function keyOf({ text }: RefreshToken): Uint8Array {
  return createHash("sha256").update("gatehouse refresh successor").update(text).digest();
}

function noRandom(): never {
  throw new Error("Nothing is sealed here.");
}

function secret(random: RandomBytes): string {
  return Buffer.from(random(secretBytes)).toString("base64url");
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}
