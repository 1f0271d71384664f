import type { JWK } from "jose";
import type { Awaitable } from "../../shared/awaitable.ts";
import { invalidArgument } from "../../shared/service-error.ts";
import { clientChanged, clientExists, clientNotFound } from "../errors.ts";
import {
  type ClientChanges,
  type ClientStore,
  hashClientSecret,
  isPublicClient,
  newClientSecret,
  type OAuthClient,
} from "./clients.ts";
import type { Clock, RandomBytes } from "./clock.ts";
import { parseKey } from "./external/verification-keys.ts";
import { assertionAlgorithms } from "./oauth/client-authenticator.ts";
import { attributesFault } from "./user-rules.ts";

export interface ClientAdminOptions {
  readonly store: ClientStore;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Revokes all tokens that were issued to a client. Must do no harm when done twice. */
  readonly revokeTokens: (id: string) => Awaitable<unknown>;
}

export interface ClientToCreate extends Omit<OAuthClient, "secretHashes" | "createTime"> {
  readonly withSecret: boolean;
}

export type ClientUpdate = Omit<ClientChanges, "secretHashes">;

/** A client with a secret that was just made, and cannot be shown again; empty when none was. */
export interface ClientWithSecret {
  readonly client: OAuthClient;
  readonly secret: string;
}

/**
 * Administers OAuth clients.
 *
 * What may lessen a client's privileges revokes its tokens, after it is written. A call that failed in between can be
 * repeated, and then does both again.
 *
 * @throws ServiceError NOT_FOUND (reason CLIENT_NOT_FOUND); INVALID_ARGUMENT; UNAVAILABLE.
 */
export interface ClientAdmin {
  /** An empty id has one made. Throws ServiceError ALREADY_EXISTS (reason CLIENT_EXISTS). */
  create(client: ClientToCreate): Promise<ClientWithSecret>;
  get(id: string): Promise<OAuthClient>;
  /** Clients whose ids come after `after`, in the order of their bytes. */
  list(after: string, limit: number): Awaitable<readonly OAuthClient[]>;
  /** Replaces the given fields. All but the name revoke the client's tokens. */
  update(id: string, changes: ClientUpdate): Promise<OAuthClient>;
  /**
   * Makes a new secret. With `keepCurrent`, the last one stays good beside it; otherwise none does, and the client's tokens
   * are revoked. Throws ServiceError ABORTED (reason CLIENT_CHANGED).
   */
  rotateSecret(id: string, keepCurrent: boolean): Promise<ClientWithSecret>;
  remove(id: string): Promise<void>;
}

export function createClientAdmin({ store, clock, random, revokeTokens }: ClientAdminOptions): ClientAdmin {
  async function get(id: string): Promise<OAuthClient> {
    const client = await store.find(id);
    if (client === undefined) throw clientNotFound();
    return client;
  }

  return {
    get,
    async create({ withSecret, id: wanted, ...rest }) {
      const secret = withSecret ? newClientSecret(random) : "";
      const client: OAuthClient = {
        ...rest,
        jwks: rest.jwks.map(publicMembers),
        id: wanted === "" ? Buffer.from(random(16)).toString("base64url") : wanted,
        secretHashes: withSecret ? [hashClientSecret(secret)] : [],
        createTime: clock(),
      };
      refuseFaults(client);
      if (!(await store.create(client))) throw clientExists();
      return { client, secret };
    },
    list: (after, limit) => store.list(after, limit),
    async update(id, { jwks, ...others }) {
      const changes = { ...others, ...(jwks === undefined ? {} : { jwks: jwks.map(publicMembers) }) };
      const client = { ...(await get(id)), ...changes };
      refuseFaults(client);
      if (!(await store.update(id, changes))) throw clientNotFound();
      if (Object.keys(changes).some((field) => field !== "name")) await revokeTokens(id);
      return client;
    },
    async rotateSecret(id, keepCurrent) {
      const client = await get(id);
      const secret = newClientSecret(random);
      const kept = keepCurrent ? client.secretHashes.slice(0, 1) : [];
      const secretHashes = [hashClientSecret(secret), ...kept];
      if (!(await store.replaceSecrets(id, client.secretHashes, secretHashes))) throw clientChanged();
      if (!keepCurrent) await revokeTokens(id);
      return { client: { ...client, secretHashes }, secret };
    },
    async remove(id) {
      const found = await store.delete(id);
      // Also of a client that is gone: the call before may have come only half way.
      await revokeTokens(id);
      if (!found) throw clientNotFound();
    },
  };
}

/** Members of a key that are kept. `d` and `k` are among them so that they are seen and refused, not silently dropped. */
const keyMembers = ["kty", "kid", "use", "key_ops", "alg", "crv", "x", "y", "n", "e", "d", "k"] as const;

function publicMembers(jwk: JWK): JWK {
  return Object.fromEntries(keyMembers.flatMap((name) => (jwk[name] === undefined ? [] : [[name, jwk[name]]]))) as JWK;
}

function refuseFaults(client: OAuthClient): void {
  const faults = {
    jwks: keysFault(client.jwks),
    grants: grantsFault(client),
    attributes: attributesFault(client.attributes),
  };
  const violations = Object.entries(faults).flatMap(([field, description]) =>
    description === undefined ? [] : [{ field, description }],
  );
  if (violations.length > 0) throw invalidArgument(violations);
}

const maxKeyIdLength = 256;

function keysFault(jwks: readonly JWK[]): string | undefined {
  const keys = jwks.map(parseKey);
  const areFit = keys.every((key) => key !== undefined && assertionAlgorithms.some((name) => key.algorithms.has(name)));
  if (!areFit) return `must be public keys for signatures by one of ${assertionAlgorithms.join(", ")}`;
  if (keys.some((key) => (key?.keyId ?? "").length > maxKeyIdLength))
    return "must have ids (kid) of 256 characters at most";
  const ids = new Set(keys.map((key) => key?.keyId));
  if (ids.size < keys.length) return "must have ids (kid) of which none is there twice";
  return undefined;
}

function grantsFault(client: OAuthClient): string | undefined {
  const needsProof = client.grants.some((grant) => grant !== "refresh_token");
  return needsProof && isPublicClient(client)
    ? "must be refresh_token only, for the client has no secret and no keys"
    : undefined;
}
