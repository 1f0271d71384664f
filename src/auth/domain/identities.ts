import type { Awaitable } from "../../shared/awaitable.ts";
import type { Attributes, Principal } from "./principal.ts";

/** A person who may sign in. */
export interface User {
  /** Folded name (user-name.ts): the key, and the id of the principal. */
  readonly name: string;
  readonly roles: readonly string[];
  readonly attributes: Attributes;
  /** PHC string; undefined when the user has no password. */
  readonly passwordHash: string | undefined;
  /** Whether every credential of the user is refused. */
  readonly disabled: boolean;
  /** Milliseconds since the epoch. */
  readonly createTime: number;
  /** Grows with every change. It begins at `createTime`, so that a user who is created anew does not get an old one again. */
  readonly version: number;
  /** The version of the last change that ended all sessions: those that were opened under another are not valid. */
  readonly sessionEpoch: number;
}

export type NewUser = Omit<User, "version" | "sessionEpoch">;

export type UserChanges = Partial<Omit<NewUser, "name" | "createTime">>;

export interface WriteConditions {
  /** Version that the user must have. */
  readonly expectedVersion?: number | undefined;
}

export interface UpdateOptions extends WriteConditions {
  /** Whether all sessions that were opened before are no longer valid. Default: false. */
  readonly endSessions?: boolean;
}

/** Why nothing was written: there is no such user, or it has another version. */
export type NotWritten = "absent" | "changed";

/** Keeps users. A write is durable once it is answered. Throws ServiceError UNAVAILABLE when it cannot be reached. */
export interface IdentityStore {
  findUser(name: string): Awaitable<User | undefined>;
  /** Answers false, and changes nothing, when the name is taken. */
  createUser(user: NewUser): Awaitable<boolean>;
  /** Users whose names come after `after`, by the bytes of their names. */
  listUsers(after: string, limit: number): Awaitable<readonly User[]>;
  /** Replaces the given fields; answers the user as it is then. */
  updateUser(name: string, changes: UserChanges, options?: UpdateOptions): Awaitable<User | NotWritten>;
  /** Replaces the password hash if it still is `expected`; answers whether it was. */
  replacePasswordHash(name: string, expected: string, replacement: string): Awaitable<boolean>;
  /** Removes a user, and in the same step all API keys of the user. The user's sessions are not its business. */
  deleteUser(name: string, conditions?: WriteConditions): Awaitable<"deleted" | NotWritten>;
}

export function principalOf(user: User): Principal {
  return { type: "User", id: user.name, roles: user.roles, attributes: user.attributes };
}
