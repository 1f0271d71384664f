import type { DatabaseSync } from "node:sqlite";
import { migrate } from "../../shared/store/migrations.ts";
import { guarded, transaction } from "../../shared/store/sqlite.ts";
import type { Session, SessionStore } from "../domain/sessions.ts";
import { authMigrations } from "./sqlite-schema.ts";

interface Row {
  id: string;
  user: string;
  amr: string;
  create_time: number;
  last_used_time: number;
  idle_expire_time: number;
  expire_time: number;
  epoch: number;
}

/** Expired sessions of other users that one sign-in clears away at most, so that none pays for all. */
const sweepLimit = 100;

const columns = "id, user, amr, create_time, last_used_time, idle_expire_time, expire_time, epoch";

/** Keeps sessions in SQLite. Answers at once, without promises. */
export function createSqliteSessionStore(database: DatabaseSync): SessionStore {
  migrate(database, "auth", authMigrations);
  const select = database.prepare(`SELECT ${columns} FROM sessions WHERE token_hash = ?`);
  const selectById = database.prepare(`SELECT token_hash, ${columns} FROM sessions WHERE id = ?`);
  const selectOfUser = database.prepare(
    `SELECT ${columns} FROM sessions WHERE user = ? ORDER BY create_time DESC, sequence DESC`,
  );
  const insert = database.prepare(`INSERT INTO sessions (token_hash, ${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  const update = database.prepare(
    "UPDATE sessions SET last_used_time = ?1, idle_expire_time = ?2 WHERE token_hash = ?3 AND last_used_time < ?1",
  );
  const remove = database.prepare(`DELETE FROM sessions WHERE id = ? RETURNING ${columns}`);
  const removeOfUser = database.prepare(`DELETE FROM sessions WHERE user = ? RETURNING ${columns}`);
  const removeExpiredOfUser = database.prepare("DELETE FROM sessions WHERE user = ? AND idle_expire_time <= ?");
  const removeBeyond = database.prepare(
    `DELETE FROM sessions WHERE sequence IN
      (SELECT sequence FROM sessions WHERE user = ? ORDER BY create_time DESC, sequence DESC LIMIT -1 OFFSET ?) RETURNING id`,
  );
  const sweep = database.prepare(
    `DELETE FROM sessions WHERE sequence IN
      (SELECT sequence FROM sessions WHERE idle_expire_time <= ? LIMIT ${sweepLimit})`,
  );

  return {
    add: ({ tokenHash }, session, limit) =>
      guarded(() =>
        transaction(database, () => {
          const { id, user, amr, epoch, createTime, lastUsedTime, idleExpireTime, expireTime } = session;
          const times = [createTime, lastUsedTime, idleExpireTime, expireTime];
          sweep.run(createTime);
          removeExpiredOfUser.run(user, createTime);
          const ended = removeBeyond.all(user, limit - 1);
          insert.run(tokenHash, id, user, JSON.stringify(amr), ...times, epoch);
          return ended.map((row) => String(row.id));
        }),
      ),
    find: ({ tokenHash }) => guarded(() => fromRow(select.get(tokenHash))),
    findById: (partition, id) =>
      guarded(() => {
        const row = selectById.get(id);
        if (row === undefined) return undefined;
        return { key: { partition, tokenHash: String(row.token_hash) }, session: fromRow(row)! };
      }),
    touch: ({ tokenHash }, { lastUsedTime, idleExpireTime }) =>
      guarded(() => {
        update.run(lastUsedTime, idleExpireTime, tokenHash);
      }),
    list: (user) => guarded(() => fromRows(selectOfUser.all(user))),
    remove: (_partition, id) => guarded(() => fromRow(remove.get(id))),
    removeAll: (user) => guarded(() => fromRows(removeOfUser.all(user))),
  };
}

function fromRows(rows: readonly unknown[]): Session[] {
  return rows.map((row) => fromRow(row)!);
}

function fromRow(row: unknown): Session | undefined {
  if (row === undefined) return undefined;
  const { id, user, amr, create_time, last_used_time, idle_expire_time, expire_time, epoch } = row as Row;
  return {
    id,
    user,
    amr: JSON.parse(amr) as string[],
    epoch,
    createTime: create_time,
    lastUsedTime: last_used_time,
    idleExpireTime: idle_expire_time,
    expireTime: expire_time,
  };
}
