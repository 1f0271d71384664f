import type { DatabaseSync } from "node:sqlite";
import { migrate } from "../../shared/store/migrations.ts";
import { guarded, transaction } from "../../shared/store/sqlite.ts";
import type { IdentityStore, NotWritten, User } from "../domain/identities.ts";
import type { Attributes } from "../domain/principal.ts";
import { authMigrations } from "./sqlite-schema.ts";

interface Row {
  name: string;
  roles: string;
  attributes: string;
  password_hash: string | null;
  disabled: number;
  create_time: number;
  version: number;
  session_epoch: number;
}

/** Keeps users in SQLite. Answers at once, without promises. */
export function createSqliteIdentityStore(database: DatabaseSync): IdentityStore {
  migrate(database, "auth", authMigrations);
  const select = database.prepare("SELECT * FROM users WHERE name = ?");
  // The order of TEXT is that of its bytes in UTF-8.
  const selectAfter = database.prepare("SELECT * FROM users WHERE name > ? ORDER BY name LIMIT ?");
  const insert = database.prepare(
    `INSERT INTO users (name, roles, attributes, password_hash, disabled, create_time, version, session_epoch)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?6) ON CONFLICT DO NOTHING`,
  );
  // One statement for every set of changes: the flag before each value tells whether it is to be set.
  const update = database.prepare(
    `UPDATE users SET
      roles = iif(?, ?, roles), attributes = iif(?, ?, attributes),
      password_hash = iif(?, ?, password_hash), disabled = iif(?, ?, disabled),
      version = version + 1, session_epoch = iif(?, version + 1, session_epoch)
    WHERE name = ? AND version = coalesce(?, version) RETURNING *`,
  );
  const replaceHash = database.prepare("UPDATE users SET password_hash = ? WHERE name = ? AND password_hash = ?");
  const remove = database.prepare("DELETE FROM users WHERE name = ? AND version = coalesce(?, version)");

  /** Runs a write; when it found nothing to change, tells why. */
  function write<T>(name: string, work: () => T | undefined): T | NotWritten {
    return guarded(() =>
      transaction(database, () => work() ?? (select.get(name) === undefined ? "absent" : "changed")),
    );
  }

  return {
    findUser: (name) => guarded(() => fromRow(select.get(name))),
    listUsers: (after, limit) => guarded(() => selectAfter.all(after, limit).map((row) => fromRow(row)!)),
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
    updateUser: (name, changes, { expectedVersion, endSessions = false } = {}) =>
      write(name, () => {
        const { roles, attributes, passwordHash, disabled } = changes;
        return fromRow(
          update.get(
            Number(roles !== undefined),
            JSON.stringify(roles ?? []),
            Number(attributes !== undefined),
            JSON.stringify(attributes ?? {}),
            Number("passwordHash" in changes),
            passwordHash ?? null,
            Number(disabled !== undefined),
            Number(disabled ?? false),
            Number(endSessions),
            name,
            expectedVersion ?? null,
          ),
        );
      }),
    replacePasswordHash: (name, expected, replacement) =>
      guarded(() => replaceHash.run(replacement, name, expected).changes === 1),
    deleteUser: (name, { expectedVersion } = {}) =>
      write(name, () => (remove.run(name, expectedVersion ?? null).changes === 1 ? "deleted" : undefined)),
  };
}

function fromRow(row: unknown): User | undefined {
  if (row === undefined) return undefined;
  const { name, roles, attributes, password_hash, disabled, create_time, version, session_epoch } = row as Row;
  return {
    name,
    roles: JSON.parse(roles) as string[],
    attributes: JSON.parse(attributes) as Attributes,
    passwordHash: password_hash ?? undefined,
    disabled: disabled !== 0,
    createTime: create_time,
    version,
    sessionEpoch: session_epoch,
  };
}
