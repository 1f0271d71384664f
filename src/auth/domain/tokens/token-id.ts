import type { RandomBytes } from "../clock.ts";
import { partitionOf } from "../session-keys.ts";

/**
 * A `jti`: the partition of the subject, the time of issue in milliseconds and 96 random bits, in base64url. The store finds by
 * it where a revocation would be; and `iat`, in whole seconds, could not tell what was issued before a revocation of the
 * same second.
 */
export function newTokenId(subject: string, now: number, random: RandomBytes): string {
  const bytes = Buffer.alloc(8);
  bytes.write(partitionOf(subject), 0, "hex");
  bytes.writeUIntBE(now, 2, 6);
  return Buffer.concat([bytes, random(12)]).toString("base64url");
}

const shape = /^[A-Za-z0-9_-]{27}$/;

/** What a `jti` says; undefined when it is none. */
export function parseTokenId(id: string): { readonly partition: string; readonly issueTime: number } | undefined {
  if (!shape.test(id)) return undefined;
  const bytes = Buffer.from(id, "base64url");
  return { partition: bytes.toString("hex", 0, 2), issueTime: bytes.readUIntBE(2, 6) };
}
