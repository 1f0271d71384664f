import type { Awaitable } from "../../shared/awaitable.ts";
import { invalidArgument } from "../../shared/service-error.ts";
import { userChanged, userExists, userNotFound } from "../errors.ts";
import type { Clock } from "./clock.ts";
import type { IdentityStore, NotWritten, User, UserChanges, WriteConditions } from "./identities.ts";
import type { Passwords } from "./passwords.ts";
import type { Attributes } from "./principal.ts";
import { foldUserName } from "./user-name.ts";
import { attributesFault, userNameFault } from "./user-rules.ts";

export interface UsersOptions {
  readonly identities: IdentityStore;
  readonly passwords: Passwords;
  readonly clock: Clock;
  /** Ends all that a user has opened: sessions, and whatever was issued with them. Must do no harm when done twice. */
  readonly endSessions: (name: string) => Awaitable<unknown>;
  /** Removes the second factors of a user who is gone. */
  readonly removeSecondFactors: (name: string) => Awaitable<unknown>;
}

export interface UserToCreate {
  readonly name: string;
  readonly password: string | undefined;
  readonly roles: readonly string[];
  readonly attributes: Attributes;
  readonly disabled: boolean;
}

export type UserUpdate = Pick<UserChanges, "roles" | "attributes" | "disabled">;

/**
 * Administers users. Names are folded first.
 *
 * What lessens or moves a user's privileges ends all sessions of the user. The step that writes it already makes them
 * invalid; they are removed after that. A call that failed in between can be repeated, and then does both again.
 *
 * @throws ServiceError NOT_FOUND (reason USER_NOT_FOUND); ABORTED (USER_CHANGED) when a user has not the expected version;
 *   INVALID_ARGUMENT; RESOURCE_EXHAUSTED when too many passwords wait to be hashed; UNAVAILABLE.
 */
export interface Users {
  /** @throws ServiceError ALREADY_EXISTS (reason USER_EXISTS) */
  create(user: UserToCreate, signal?: AbortSignal): Promise<User>;
  get(name: string): Promise<User>;
  /** Users whose names come after `after`, in the order of their bytes. */
  list(after: string, limit: number): Awaitable<readonly User[]>;
  /** Replaces the given fields. Giving roles, be they the same, and disabling ends all sessions. */
  update(name: string, changes: UserUpdate, conditions?: WriteConditions): Promise<User>;
  /** Sets a password, or removes it, and ends all sessions. */
  setPassword(
    name: string,
    password: string | undefined,
    conditions?: WriteConditions,
    signal?: AbortSignal,
  ): Promise<User>;
  /** Removes the second factors of a user, and ends all sessions. */
  removeSecondFactors(name: string): Promise<void>;
  /** Removes a user with all API keys and second factors, and ends all sessions. */
  remove(name: string, conditions?: WriteConditions): Promise<void>;
}

export function createUsers(options: UsersOptions): Users {
  const { identities, passwords, clock, endSessions, removeSecondFactors } = options;

  async function get(name: string): Promise<User> {
    const user = await identities.findUser(foldUserName(name));
    if (user === undefined) throw userNotFound();
    return user;
  }

  return {
    get,
    async create({ password, name, ...rest }, signal) {
      const folded = foldUserName(name);
      refuseFaults({ name: userNameFault(folded), attributes: attributesFault(rest.attributes) });
      // Asked before the costly part; the store decides.
      if ((await identities.findUser(folded)) !== undefined) throw userExists();
      const passwordHash = password === undefined ? undefined : await passwords.hash(password, signal);
      const created = await identities.createUser({ ...rest, name: folded, passwordHash, createTime: clock() });
      if (!created) throw userExists();
      return await get(folded);
    },
    list: (after, limit) => identities.listUsers(after, limit),
    async update(name, changes, conditions) {
      refuseFaults({ attributes: changes.attributes && attributesFault(changes.attributes) });
      const folded = foldUserName(name);
      const ends = changes.roles !== undefined || changes.disabled === true;
      const user = written(await identities.updateUser(folded, changes, { ...conditions, endSessions: ends }));
      if (ends) await endSessions(folded);
      return user;
    },
    async setPassword(name, password, conditions, signal) {
      const { name: folded } = await get(name);
      const passwordHash = password === undefined ? undefined : await passwords.hash(password, signal);
      const options = { ...conditions, endSessions: true };
      const user = written(await identities.updateUser(folded, { passwordHash }, options));
      await endSessions(folded);
      return user;
    },
    async removeSecondFactors(name) {
      const folded = foldUserName(name);
      written(await identities.updateUser(folded, {}, { endSessions: true }));
      await endSessions(folded);
      await removeSecondFactors(folded);
    },
    async remove(name, conditions) {
      const folded = foldUserName(name);
      const outcome = await identities.deleteUser(folded, conditions);
      // Also of a user who is gone: the call before may have come only half way.
      if (outcome !== "changed") {
        await endSessions(folded);
        await removeSecondFactors(folded);
      }
      written(outcome);
    },
  };
}

function written<T>(outcome: T | NotWritten): T {
  if (outcome === "absent") throw userNotFound();
  if (outcome === "changed") throw userChanged();
  return outcome as T;
}

function refuseFaults(faults: Readonly<Record<string, string | undefined>>): void {
  const violations = Object.entries(faults).flatMap(([field, description]) =>
    description === undefined ? [] : [{ field, description }],
  );
  if (violations.length > 0) throw invalidArgument(violations);
}
