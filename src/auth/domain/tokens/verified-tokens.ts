import { LRUCache } from "lru-cache";
import type { Revocation } from "../revocations.ts";
import type { AccessToken } from "./access-tokens.ts";

/** A token whose signature was verified, and the key that made it. */
export interface VerifiedToken {
  readonly token: AccessToken;
  readonly kid: string;
}

/** Remembers verified tokens by the hash of their text: a bounded number, those that were used last. */
export interface VerifiedTokens {
  get(hash: string): VerifiedToken | undefined;
  set(hash: string, verified: VerifiedToken): void;
  delete(hash: string): void;
  /** Forgets those that a revocation concerns, in a time that does not depend on how many there are beside them. */
  forget(revocation: Revocation): void;
  /** Forgets all. */
  clear(): void;
}

/** @param size most tokens; 0: none. */
export function createVerifiedTokens(size: number): VerifiedTokens {
  if (size === 0) return { get: () => undefined, set() {}, delete() {}, forget() {}, clear() {} };
  /** Hashes by what can be revoked. */
  const index = new Map<string, Set<string>>();

  const cache = new LRUCache<string, VerifiedToken>({
    max: size,
    dispose({ token }, hash) {
      for (const name of namesOf(token)) {
        const hashes = index.get(name);
        hashes?.delete(hash);
        if (hashes?.size === 0) index.delete(name);
      }
    },
  });

  return {
    get: (hash) => cache.get(hash),
    set(hash, verified) {
      cache.set(hash, verified);
      for (const name of namesOf(verified.token)) {
        const hashes = index.get(name);
        if (hashes === undefined) index.set(name, new Set([hash]));
        else hashes.add(hash);
      }
    },
    delete: (hash) => void cache.delete(hash),
    forget(revocation) {
      for (const hash of [...(index.get(nameOf(revocation)) ?? [])]) cache.delete(hash);
    },
    clear: () => cache.clear(),
  };
}

function namesOf({ id, principalType, subject, sessionId, clientId }: AccessToken): string[] {
  return [
    `token ${id}`,
    `${principalType === "Client" ? "client" : "user"} ${subject}`,
    ...(sessionId === undefined ? [] : [`session ${sessionId}`]),
    ...(clientId === undefined ? [] : [`client ${clientId}`]),
  ];
}

function nameOf(revocation: Revocation): string {
  switch (revocation.kind) {
    case "token":
      return `token ${revocation.tokenId}`;
    case "session":
      return `session ${revocation.sessionId}`;
    case "user":
      return `user ${revocation.user}`;
    case "client":
      return `client ${revocation.client}`;
    case "apiKey":
      return `apiKey ${revocation.keyId}`;
  }
}
