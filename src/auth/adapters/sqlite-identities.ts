import type { DatabaseSync } from "node:sqlite";
import { migrate } from "../../shared/store/migrations.ts";
import { guarded } from "../../shared/store/sqlite.ts";
import type { IdentityStore, User } from "../domain/identities.ts";
import type { Attributes } from "../domain/principal.ts";
import { authMigrations } from "./sqlite-schema.ts";

interface Row {
  name: string;
  roles: string;
  attributes: string;
  password_hash: string | null;
  disabled: number;
  create_time: number;
}

/** Keeps users in SQLite. Answers at once, without promises. */
export function createSqliteIdentityStore(database: DatabaseSync): IdentityStore {
  migrate(database, "auth", authMigrations);
  const select = database.prepare("SELECT * FROM users WHERE name = ?");
  const insert = database.prepare("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");
  // One statement for every set of changes: the flag before each value tells whether it is to be set.
  const update = database.prepare(
    `UPDATE users SET
      roles = iif(?, ?, roles), attributes = iif(?, ?, attributes),
      password_hash = iif(?, ?, password_hash), disabled = iif(?, ?, disabled)
    WHERE name = ?`,
  );
  const replaceHash = database.prepare("UPDATE users SET password_hash = ? WHERE name = ? AND password_hash = ?");
  const remove = database.prepare("DELETE FROM users WHERE name = ?");

  return {
    findUser: (name) => guarded(() => fromRow(select.get(name))),
    createUser: ({ name, roles, attributes, passwordHash, disabled, createTime }) =>
      guarded(() => {
        const { changes } = insert.run(
          name,
          JSON.stringify(roles),
          JSON.stringify(attributes),
          passwordHash ?? null,
          Number(disabled),
          createTime,
        );
        return changes === 1;
      }),
    updateUser: (name, changes) =>
      guarded(() => {
        const { roles, attributes, passwordHash, disabled } = changes;
        const result = update.run(
          Number(roles !== undefined),
          JSON.stringify(roles ?? []),
          Number(attributes !== undefined),
          JSON.stringify(attributes ?? {}),
          Number("passwordHash" in changes),
          passwordHash ?? null,
          Number(disabled !== undefined),
          Number(disabled ?? false),
          name,
        );
        return result.changes === 1;
      }),
    replacePasswordHash: (name, expected, replacement) =>
      guarded(() => replaceHash.run(replacement, name, expected).changes === 1),
    deleteUser: (name) => guarded(() => remove.run(name).changes === 1),
  };
}

function fromRow(row: unknown): User | undefined {
  if (row === undefined) return undefined;
  const { name, roles, attributes, password_hash, disabled, create_time } = row as Row;
  return {
    name,
    roles: JSON.parse(roles) as string[],
    attributes: JSON.parse(attributes) as Attributes,
    passwordHash: password_hash ?? undefined,
    disabled: disabled !== 0,
    createTime: create_time,
  };
}
