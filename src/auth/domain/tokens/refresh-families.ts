import type { Awaitable } from "../../../shared/awaitable.ts";

/** All refresh tokens of one session. Only hashes are kept. Times are milliseconds since the epoch. */
export interface RefreshFamily {
  readonly sessionId: string;
  readonly partition: string;
  /** Hash of the secret that all tokens of the family share. */
  readonly seriesHash: string;
  /** Hash of the token that is valid; empty once the family was revoked. */
  readonly currentHash: string;
  /** When the current token was issued, and the one before it spent. */
  readonly issueTime: number;
  /** OAuth client that the tokens are bound to: the first that used one. Empty: none yet. */
  readonly client: string;
  readonly scopes: readonly string[];
  /** When all of it is over: that of the session. */
  readonly expireTime: number;
}

/** The use of one refresh token. */
export interface RefreshUse {
  readonly sessionId: string;
  readonly partition: string;
  readonly seriesHash: string;
  /** Hash of the presented token. */
  readonly presentedHash: string;
  readonly successorHash: string;
  /** The successor, sealed so that the presented token opens it. */
  readonly sealedSuccessor: string;
  /** OAuth client that presents it; empty when there is none. */
  readonly client: string;
  readonly now: number;
  /** How long a token that was spent is answered with the same successor. */
  readonly graceMs: number;
}

export type RefreshOutcome =
  /** The token was spent and its successor is valid. */
  | { readonly kind: "rotated" }
  /** It was spent a moment ago, and its successor is still valid. */
  | { readonly kind: "repeated"; readonly sealedSuccessor: string }
  /** It was spent before: the family is now revoked. */
  | { readonly kind: "reused" }
  /** No such family, another series, or bound to another client. Nothing was changed. */
  | { readonly kind: "unknown" };

/** Keeps refresh families. A write is durable once it is answered. Throws ServiceError UNAVAILABLE when it cannot be reached. */
export interface RefreshFamilyStore {
  add(family: RefreshFamily): Awaitable<void>;
  find(partition: string, sessionId: string): Awaitable<RefreshFamily | undefined>;
  /** Spends a token, in one step: of any number of uses at once, one rotates. */
  use(use: RefreshUse): Awaitable<RefreshOutcome>;
  remove(partition: string, sessionId: string): Awaitable<void>;
}
