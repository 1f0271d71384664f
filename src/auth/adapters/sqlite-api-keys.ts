import type { DatabaseSync } from "node:sqlite";
import { migrate } from "../../shared/store/migrations.ts";
import { guarded, transaction } from "../../shared/store/sqlite.ts";
import type { ApiKey, ApiKeyStore } from "../domain/api-keys.ts";
import { authMigrations } from "./sqlite-schema.ts";

interface Row {
  id: string;
  user: string;
  key_hash: string;
  display_name: string;
  scopes: string;
  create_time: number;
  expire_time: number | null;
  last_used_time: number | null;
}

/** Keeps API keys in SQLite; they go with their users by a foreign key. Answers at once, without promises. */
export function createSqliteApiKeyStore(database: DatabaseSync): ApiKeyStore {
  migrate(database, "auth", authMigrations);
  const user = database.prepare("SELECT 1 FROM users WHERE name = ?");
  const count = database.prepare("SELECT count(*) AS n FROM api_keys WHERE user = ?");
  const insert = database.prepare(
    `INSERT INTO api_keys (id, user, key_hash, display_name, scopes, create_time, expire_time, last_used_time)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const select = database.prepare("SELECT * FROM api_keys WHERE id = ?");
  const selectOfUser = database.prepare(
    "SELECT * FROM api_keys WHERE user = ? ORDER BY create_time DESC, sequence DESC",
  );
  const update = database.prepare(
    "UPDATE api_keys SET last_used_time = ?1 WHERE id = ?2 AND coalesce(last_used_time, 0) < ?1",
  );
  const remove = database.prepare("DELETE FROM api_keys WHERE id = ?");

  return {
    add: ({ key, hash }, limit) =>
      guarded(() =>
        transaction(database, () => {
          if (user.get(key.user) === undefined) return "absent";
          if (Number(count.get(key.user)?.n) >= limit) return "full";
          const { id, displayName, scopes, createTime, expireTime, lastUsedTime } = key;
          const times = [createTime, expireTime ?? null, lastUsedTime ?? null];
          insert.run(id, key.user, hash, displayName, JSON.stringify(scopes), ...times);
          return "added";
        }),
      ),
    find: (_partition, id) =>
      guarded(() => {
        const row = select.get(id) as Row | undefined;
        return row === undefined ? undefined : { key: fromRow(row), hash: row.key_hash };
      }),
    touch: (_partition, id, lastUsedTime) =>
      guarded(() => {
        update.run(lastUsedTime, id);
      }),
    list: (name) => guarded(() => selectOfUser.all(name).map((row) => fromRow(row as unknown as Row))),
    remove: (_partition, id) => guarded(() => remove.run(id).changes === 1),
  };
}

function fromRow({ id, user, display_name, scopes, create_time, expire_time, last_used_time }: Row): ApiKey {
  return {
    id,
    user,
    displayName: display_name,
    scopes: JSON.parse(scopes) as string[],
    createTime: create_time,
    expireTime: expire_time ?? undefined,
    lastUsedTime: last_used_time ?? undefined,
  };
}
