import { randomFillSync } from "node:crypto";

const wellFormedRequestId = /^[A-Za-z0-9._:@/+=-]{1,128}$/;
// W3C Trace Context, version 00: trace id and parent id must not be all zero.
const wellFormedTraceparent = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})$/;

const pool = Buffer.allocUnsafeSlow(4_096);
let used = pool.length;

/** Random lower-case hex of `bytes` bytes, from a pool that is refilled now and then. */
export function randomHex(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const start = used;
  used += bytes;
  return pool.toString("hex", start, used);
}

/** The caller's `x-request-id` when it is well-formed (1 to 128 unsuspicious characters), otherwise a new one. */
export function requestIdFrom(header: string | undefined): string {
  return header !== undefined && wellFormedRequestId.test(header) ? header : randomHex(16);
}

/** The caller's `traceparent` when it is well-formed. */
export function wellFormedParent(header: string | undefined): string | undefined {
  return header !== undefined && wellFormedTraceparent.test(header) ? header : undefined;
}

/**
 * The `traceparent` of this call (https://www.w3.org/TR/trace-context/): a new parent id in the caller's trace, or a new
 * trace, unsampled, when it has none.
 */
export function traceparentFrom(header: string | undefined): string {
  const match = header === undefined ? null : wellFormedTraceparent.exec(header);
  return match === null ? `00-${randomHex(16)}-${randomHex(8)}-00` : `00-${match[1]}-${randomHex(8)}-${match[2]}`;
}
