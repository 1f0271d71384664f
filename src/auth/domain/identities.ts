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
}

export type UserChanges = Partial<Omit<User, "name" | "createTime">>;

/** Keeps users. A write is durable once it is answered. Throws ServiceError UNAVAILABLE when it cannot be reached. */
export interface IdentityStore {
  findUser(name: string): Awaitable<User | undefined>;
  /** Answers false, and changes nothing, when the name is taken. */
  createUser(user: User): Awaitable<boolean>;
  /** Replaces the given fields; answers false when there is no such user. */
  updateUser(name: string, changes: UserChanges): Awaitable<boolean>;
  /** Replaces the password hash if it still is `expected`; answers whether it was. */
  replacePasswordHash(name: string, expected: string, replacement: string): Awaitable<boolean>;
  /** Answers false when there is no such user. The user's sessions are not its business. */
  deleteUser(name: string): Awaitable<boolean>;
}

export function principalOf(user: User): Principal {
  return { type: "User", id: user.name, roles: user.roles, attributes: user.attributes };
}
