import { createHash, timingSafeEqual } from "node:crypto";
import type { JWK } from "jose";
import type { Awaitable } from "../../shared/awaitable.ts";
import type { RandomBytes } from "./clock.ts";
import type { Attributes, Principal } from "./principal.ts";

/** Grants of the token endpoint that a client can be allowed. */
export const clientGrants = ["client_credentials", "refresh_token", "token_exchange"] as const;

export type ClientGrant = (typeof clientGrants)[number];

/**
 * An OAuth client (RFC 6749 section 2).
 *
 * It authenticates by a secret when it has one, by `private_key_jwt` when it has keys, and is public when it has neither.
 */
export interface OAuthClient {
  /** The key, and the id of the principal. 1 to 256 bytes of printable ASCII without `:`. */
  readonly id: string;
  /** For people. */
  readonly name: string;
  /** Hashes of its secrets (`hashClientSecret`), the newest first; more than one while one replaces another. */
  readonly secretHashes: readonly string[];
  /** Public keys of its assertions (RFC 7523). */
  readonly jwks: readonly JWK[];
  readonly grants: readonly ClientGrant[];
  /** Scopes that its tokens may have. */
  readonly scopes: readonly string[];
  /** Audiences that its tokens may have beside that of this service. */
  readonly audiences: readonly string[];
  /** Roles of the principal. */
  readonly roles: readonly string[];
  readonly attributes: Attributes;
  /** Whether it is refused everywhere, and its tokens too. */
  readonly disabled: boolean;
  /** Milliseconds since the epoch. */
  readonly createTime: number;
}

export type ClientChanges = Partial<Omit<OAuthClient, "id" | "createTime">>;

/** Keeps OAuth clients. A write is durable once it is answered. Throws ServiceError UNAVAILABLE when it cannot be reached. */
export interface ClientStore {
  find(id: string): Awaitable<OAuthClient | undefined>;
  /** Answers false, and changes nothing, when the id is taken. */
  create(client: OAuthClient): Awaitable<boolean>;
  /** Replaces the given fields; answers false when there is no such client. */
  update(id: string, changes: ClientChanges): Awaitable<boolean>;
  /** Replaces the hashes of the secrets, if they still are `before`; answers whether they were. */
  replaceSecrets(id: string, before: readonly string[], after: readonly string[]): Awaitable<boolean>;
  /** Answers false when there is no such client. */
  delete(id: string): Awaitable<boolean>;
  /** At most `limit`, in the order of the bytes of their ids, after an id; from the first when it is empty. */
  list(after: string, limit: number): Awaitable<readonly OAuthClient[]>;
  /** Records that an assertion was used, until it expires; answers false when it was used before. */
  useAssertion(client: string, assertionId: string, expireTime: number): Awaitable<boolean>;
}

export function principalOfClient({ id, roles, attributes }: OAuthClient): Principal {
  return { type: "Client", id, roles, attributes };
}

/** A public client cannot keep a secret: it says who it is, and nobody can tell whether that is so. */
export function isPublicClient({ secretHashes, jwks }: OAuthClient): boolean {
  return secretHashes.length === 0 && jwks.length === 0;
}

/** A new secret: 256 random bits in base64url, after a prefix by which leaked ones are found. */
export function newClientSecret(random: RandomBytes): string {
  return `gcs_${Buffer.from(random(32)).toString("base64url")}`;
}

/** SHA-256 in base64url. Enough for secrets that `newClientSecret` made; one that a person chose would need more. */
export function hashClientSecret(secret: string): string {
  return digest(secret).toString("base64url");
}

const nobody: readonly string[] = [hashClientSecret("")];

/** Whether a secret is one of a client's; of no client, none is. Takes the same time for every secret. */
export function isClientSecret(client: OAuthClient | undefined, secret: string): boolean {
  const hash = digest(secret);
  const hashes = client === undefined || client.secretHashes.length === 0 ? nobody : client.secretHashes;
  let matches = false;
  for (const candidate of hashes) {
    const expected = Buffer.from(candidate, "base64url");
    if (expected.length === hash.length && timingSafeEqual(expected, hash)) matches = hashes !== nobody;
  }
  return matches;
}

function digest(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}
