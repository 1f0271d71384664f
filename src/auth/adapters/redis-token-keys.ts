import type { RevocableSubject } from "../domain/revocations.ts";
import { partitionOf } from "../domain/session-keys.ts";

// What belongs to a user or client carries the partition of its name as hash tag, as the sessions do.

/** Hash: all signing keys. */
export const signingKeysKey = "gatehouse:{signing-keys}";

/** Hash: the refresh tokens of one session. */
export function refreshFamilyKey(partition: string, sessionId: string): string {
  return `gatehouse:{${partition}}:refresh:${sessionId}`;
}

/** String: a revoked token, by its `jti`. */
export function revokedTokenKey(partition: string, tokenId: string): string {
  return `gatehouse:{${partition}}:revoked-token:${tokenId}`;
}

/** String: the time until which everything of a subject was revoked. */
export function revokedSubjectKey(kind: RevocableSubject, id: string): string {
  return `gatehouse:{${partitionOf(id)}}:revoked-${kind}:${id}`;
}

/** String: an assertion that a client has used, by its hash. */
export function usedAssertionKey(hash: string): string {
  return `gatehouse:{${hash}}:used-assertion`;
}

/** String: one OAuth client. All are in one slot, so that they can be listed. */
export function clientKey(id: string): string {
  return `gatehouse:{clients}:client:${id}`;
}

/** Sorted set: ids of all OAuth clients, all of score 0, in the order of their bytes. */
export const clientIndexKey = "gatehouse:{clients}:index";

/** Sorted set: revocations that were begun, as JSON, by the time when they were. */
export const begunRevocationsKey = "gatehouse:{revocations}:begun";
