import { randomUUID } from "node:crypto";
import { type Awaitable, chain, chainAll } from "../../shared/awaitable.ts";
import type { ApiKeys } from "./api-keys.ts";
import type { Clock } from "./clock.ts";
import type { BegunRevocation, RevocationJournal } from "./revocation-journal.ts";
import { partitionOfId } from "./session-keys.ts";
import type { Sessions } from "./sessions.ts";
import type { AccessToken } from "./tokens/access-tokens.ts";
import type { RefreshFamilyStore } from "./tokens/refresh-families.ts";
import { foldUserName } from "./user-name.ts";

/** What was revoked. */
export type Revocation =
  /** One access token, by its `jti`. */
  | { readonly kind: "token"; readonly tokenId: string; readonly expireTime: number }
  /** A session, and all tokens that came of it. */
  | { readonly kind: "session"; readonly sessionId: string }
  /** An API key. */
  | { readonly kind: "apiKey"; readonly keyId: string }
  /** All sessions and tokens of a user, up to now. */
  | { readonly kind: "user"; readonly user: string }
  /** All tokens that were issued to an OAuth client, up to now. */
  | { readonly kind: "client"; readonly client: string };

/** Who can have tokens without a session. */
export type RevocableSubject = Extract<Revocation, { kind: "user" | "client" }>["kind"];

/** Keeps revocations of tokens that no session holds. Throws ServiceError UNAVAILABLE when it cannot be reached. */
export interface RevocationStore {
  /** Revokes a token until it expires. */
  revokeToken(tokenId: string, expireTime: number): Awaitable<void>;
  isTokenRevoked(tokenId: string): Awaitable<boolean>;
  /** Revokes what was issued up to a time; kept until `expireTime`. An earlier time does not replace a later one. */
  revokeSubject(kind: RevocableSubject, id: string, time: number, expireTime: number): Awaitable<void>;
  /** The time up to which everything of a subject is revoked; 0 when nothing is. */
  revokedUpTo(kind: RevocableSubject, id: string): Awaitable<number>;
}

/**
 * Tells of a revocation that the store has; answers its position, empty when it has none.
 *
 * Every revocation is announced here and nowhere else.
 */
export type Announce = (begun: BegunRevocation) => Awaitable<string>;

export interface RevocationsOptions {
  readonly store: RevocationStore;
  readonly sessions: Sessions;
  readonly families: RefreshFamilyStore;
  readonly apiKeys: ApiKeys;
  readonly journal: RevocationJournal;
  readonly announce: Announce;
  readonly clock: Clock;
  /** How long a revoked subject is remembered, in milliseconds: longer than any token lives. */
  readonly retentionMs: number;
}

/** How long a revocation outlives its token: clocks differ, and a token is accepted for a moment after its expiry. */
const clockSlackMs = 120_000;
/** After how long a revocation that was begun is taken for left behind, in milliseconds: longer than any call takes. */
const leftBehindMs = 2_000;
/** How many are carried out at once, at most. */
const resumeLimit = 100;

/** The one place where anything is revoked. */
export interface Revocations {
  /**
   * Revokes and announces; answers the position of the announcement. What is gone already is revoked all the same.
   *
   * It is written down first. When this throws, or the process dies, some replica carries it out all the same.
   */
  revoke(revocation: Revocation): Promise<string>;
  /**
   * Carries out what was begun, here or elsewhere, and never finished; answers how many. To be called now and then.
   *
   * Sessions that a user has opened in the meantime end as well: rather one sign-in too many than a session left alive.
   */
  resume(): Promise<number>;
  /** Whether a token was revoked, whatever its session says. */
  isRevoked(token: AccessToken): Awaitable<boolean>;
  /** Whether everything that was issued to a client up to a time was revoked. */
  isClientRevoked(client: string, issueTime: number): Awaitable<boolean>;
  /** The same of a user or a client. */
  isSubjectRevoked(kind: RevocableSubject, id: string, issueTime: number): Awaitable<boolean>;
}

export function createRevocations(options: RevocationsOptions): Revocations {
  const { store, sessions, families, apiKeys, journal, announce, clock, retentionMs } = options;

  // The session goes first: without it, no refresh token of it is good for anything.
  async function endSession(sessionId: string): Promise<void> {
    await sessions.end(sessionId);
    await forgetFamily(sessionId);
  }

  async function forgetFamily(sessionId: string): Promise<void> {
    const partition = partitionOfId(sessionId);
    if (partition !== undefined) await families.remove(partition, sessionId);
  }

  async function apply({ revocation, time }: BegunRevocation): Promise<void> {
    switch (revocation.kind) {
      case "token":
        await store.revokeToken(revocation.tokenId, revocation.expireTime + clockSlackMs);
        return;
      case "session":
        await endSession(revocation.sessionId);
        return;
      case "apiKey":
        await apiKeys.revoke(revocation.keyId);
        return;
      case "user": {
        await store.revokeSubject("user", revocation.user, time, time + retentionMs);
        const ended = await sessions.endAll(revocation.user);
        await Promise.all(ended.map(forgetFamily));
        return;
      }
      case "client":
        await store.revokeSubject("client", revocation.client, time, time + retentionMs);
        return;
      default:
        // Begun by a newer version, which must be the one to finish it.
        throw new Error(`A revocation of an unknown kind: ${(revocation as { kind: string }).kind}`);
    }
  }

  function isRevokedOf(kind: RevocableSubject, id: string, issueTime: number): Awaitable<boolean> {
    // Users are revoked by their folded names; those of other issuers have names of any form.
    const name = kind === "user" ? foldUserName(id) : id;
    return chain(store.revokedUpTo(kind, name), (time) => issueTime <= time);
  }

  async function carryOut(begun: BegunRevocation): Promise<string> {
    await apply(begun);
    return await announce(begun);
  }

  return {
    async revoke(revocation) {
      const begun = { id: randomUUID(), time: clock(), revocation };
      await journal.begin(begun);
      const position = await carryOut(begun);
      // Nobody has to wait for this; at worst it is carried out twice.
      void (async () => journal.finish(begun))().catch(() => undefined);
      return position;
    },
    async resume() {
      const left = await journal.unfinished(clock() - leftBehindMs, resumeLimit);
      const failures: unknown[] = [];
      for (const begun of left) {
        try {
          await carryOut(begun);
          await journal.finish(begun);
        } catch (error) {
          // It stays where it is, and does not keep the others from their turn.
          failures.push(error);
        }
      }
      if (failures.length > 0) throw failures[0];
      return left.length;
    },
    isRevoked({ id, principalType, subject, sessionId, clientId, issueTime }) {
      const checks = [store.isTokenRevoked(id)];
      // A user's token of a session goes with the session, so that a sign-in right after is not caught by its own clock.
      if (sessionId === undefined && principalType !== "Client") checks.push(isRevokedOf("user", subject, issueTime));
      for (const client of new Set([clientId, principalType === "Client" ? subject : undefined])) {
        if (client !== undefined) checks.push(isRevokedOf("client", client, issueTime));
      }
      return chainAll(checks, (answers) => answers.includes(true));
    },
    isClientRevoked: (client, issueTime) => isRevokedOf("client", client, issueTime),
    isSubjectRevoked: isRevokedOf,
  };
}
