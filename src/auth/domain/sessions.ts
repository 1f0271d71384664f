import { type Awaitable, chain, chainAll } from "../../shared/awaitable.ts";
import type { Clock, RandomBytes } from "./clock.ts";
import { newSessionId, newSessionToken, partitionOfId, type SessionKey, sessionKeyOf } from "./session-keys.ts";

/** One sign-in of one user. Times are milliseconds since the epoch. */
export interface Session {
  /** Names the session, does not open it. */
  readonly id: string;
  /** Folded name of the user. */
  readonly user: string;
  /** Authentication methods that were used (RFC 8176). */
  readonly amr: readonly string[];
  /** `sessionEpoch` of the user when it was opened. Under another, it is not valid. */
  readonly epoch: number;
  readonly createTime: number;
  /** To within `touchIntervalMs`. */
  readonly lastUsedTime: number;
  /** When it ends if it is not used before; at most `expireTime`. */
  readonly idleExpireTime: number;
  readonly expireTime: number;
}

/** What moves when a session is used. */
export type SessionUse = Pick<Session, "lastUsedTime" | "idleExpireTime">;

/** A session and where it is. */
export interface FoundSession {
  readonly key: SessionKey;
  readonly session: Session;
}

/**
 * Keeps sessions. A write is durable once it is answered. Throws ServiceError UNAVAILABLE when it cannot be reached.
 *
 * It may drop sessions that have expired at the time it is told, and may also still answer them: whether one is alive is
 * for the caller to judge.
 */
export interface SessionStore {
  /**
   * Adds a session and, in the same step, ends the user's oldest so that no more than `limit` are left alive; answers the ids
   * of those.
   */
  add(key: SessionKey, session: Session, limit: number): Awaitable<readonly string[]>;
  find(key: SessionKey): Awaitable<Session | undefined>;
  /** Finds a session by its id, and where it is. */
  findById(partition: string, id: string): Awaitable<FoundSession | undefined>;
  /** Records a use, if the session is still there and the use is later than the last. */
  touch(key: SessionKey, use: SessionUse): Awaitable<void>;
  /** All of a user's, newest first. */
  list(user: string): Awaitable<readonly Session[]>;
  /** Ends a session by its id; answers it, or undefined when there was none. */
  remove(partition: string, id: string): Awaitable<Session | undefined>;
  /** Ends all of a user's; answers them. */
  removeAll(user: string): Awaitable<readonly Session[]>;
}

export interface SessionsOptions {
  readonly store: SessionStore;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Ends a session that is not used for so long, in milliseconds. */
  readonly idleTimeoutMs: number;
  /** Ends a session in any case, in milliseconds. */
  readonly maxAgeMs: number;
  /** Most sessions a user can have. */
  readonly limit: number;
  /** Told of a session that ended to make room for another, before that is answered. */
  readonly onCrowdedOut?: (id: string) => Awaitable<unknown>;
  /** Uses closer together than this are not recorded, so that most checks only read. Default: a minute, or less when the idle timeout is short. */
  readonly touchIntervalMs?: number;
}

export interface OpenedSession {
  readonly session: Session;
  /** Opens the session. Not kept: it cannot be answered again. */
  readonly token: string;
}

/** Sessions and their rules: idle and absolute expiry, and a limit for each user. */
export interface Sessions {
  /**
   * Opens a session for a user who has just proved who they are. The oldest ends when there are too many.
   *
   * `epoch` is that of the user whose credential was verified: if the user is changed meanwhile so that all sessions end,
   * this one is not valid either.
   */
  open(user: string, amr: readonly string[], epoch: number): Awaitable<OpenedSession>;
  /** Answers the live session that a token opens, and records the use; undefined when there is none. */
  use(token: string): Awaitable<Session | undefined>;
  /** Answers the live session of an id, and records the use; undefined when there is none. For holders of its other tokens. */
  useById(id: string): Awaitable<Session | undefined>;
  /** Answers the live session that a token opens, without a use. */
  find(token: string): Awaitable<Session | undefined>;
  /** Answers the live session of an id, without a use. */
  findById(id: string): Awaitable<Session | undefined>;
  /** Live sessions of a user, newest first. */
  list(user: string): Awaitable<readonly Session[]>;
  /** Ends a session; answers whether it was alive. */
  end(id: string): Awaitable<boolean>;
  /** Ends all sessions of a user; answers the ids of those that were alive. */
  endAll(user: string): Awaitable<readonly string[]>;
}

export function createSessions(options: SessionsOptions): Sessions {
  const { store, clock, random, idleTimeoutMs, maxAgeMs, limit, onCrowdedOut } = options;
  const touchIntervalMs = options.touchIntervalMs ?? Math.min(60_000, idleTimeoutMs / 10);

  // The bounds of now hold for sessions of before too: shortening them in the configuration ends what is too old.
  function isAlive(session: Session, now: number): boolean {
    return (
      now < session.idleExpireTime &&
      now < session.expireTime &&
      now < session.createTime + maxAgeMs &&
      now < session.lastUsedTime + idleTimeoutMs
    );
  }

  function alive(session: Session | undefined): Session | undefined {
    return session !== undefined && isAlive(session, clock()) ? session : undefined;
  }

  function foundById(id: string): Awaitable<FoundSession | undefined> {
    const partition = partitionOfId(id);
    return partition === undefined ? undefined : store.findById(partition, id);
  }

  function used(key: SessionKey, session: Session, now: number): Awaitable<Session> {
    if (now - session.lastUsedTime < touchIntervalMs) return session;
    const use = { lastUsedTime: now, idleExpireTime: Math.min(now + idleTimeoutMs, session.expireTime) };
    return chain(store.touch(key, use), () => ({ ...session, ...use }));
  }

  return {
    open(user, amr, epoch) {
      const now = clock();
      const token = newSessionToken(user, random);
      const expireTime = now + maxAgeMs;
      const session: Session = {
        id: newSessionId(user, random),
        user,
        amr,
        epoch,
        createTime: now,
        lastUsedTime: now,
        idleExpireTime: Math.min(now + idleTimeoutMs, expireTime),
        expireTime,
      };
      return chain(store.add(sessionKeyOf(token)!, session, limit), (ended) => {
        if (onCrowdedOut === undefined || ended.length === 0) return { session, token };
        return chainAll(ended.map(onCrowdedOut), () => ({ session, token }));
      });
    },
    use(token) {
      const key = sessionKeyOf(token);
      if (key === undefined) return undefined;
      return chain(store.find(key), (session) => {
        const now = clock();
        return session !== undefined && isAlive(session, now) ? used(key, session, now) : undefined;
      });
    },
    useById(id) {
      return chain(foundById(id), (found) => {
        const now = clock();
        return found !== undefined && isAlive(found.session, now) ? used(found.key, found.session, now) : undefined;
      });
    },
    find(token) {
      const key = sessionKeyOf(token);
      return key === undefined ? undefined : chain(store.find(key), alive);
    },
    findById(id) {
      return chain(foundById(id), (found) => alive(found?.session));
    },
    list(user) {
      return chain(store.list(user), (sessions) => sessions.filter((session) => isAlive(session, clock())));
    },
    end(id) {
      const partition = partitionOfId(id);
      if (partition === undefined) return false;
      return chain(store.remove(partition, id), (session) => session !== undefined && isAlive(session, clock()));
    },
    endAll(user) {
      return chain(store.removeAll(user), (sessions) =>
        sessions.filter((session) => isAlive(session, clock())).map((session) => session.id),
      );
    },
  };
}
