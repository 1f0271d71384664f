import type { DatabaseSync } from "node:sqlite";
import { migrate } from "../../shared/store/migrations.ts";
import { guarded } from "../../shared/store/sqlite.ts";
import type { RevocationJournal } from "../domain/revocation-journal.ts";
import type { Revocation } from "../domain/revocations.ts";
import { tokenMigrations } from "./sqlite-token-schema.ts";

/** Keeps revocations that were begun in SQLite. Answers at once, without promises. */
export function createSqliteRevocationJournal(database: DatabaseSync): RevocationJournal {
  migrate(database, "auth-tokens", tokenMigrations);
  const insert = database.prepare("INSERT OR IGNORE INTO begun_revocations VALUES (?, ?, ?)");
  const remove = database.prepare("DELETE FROM begun_revocations WHERE id = ?");
  const select = database.prepare("SELECT * FROM begun_revocations WHERE time < ? ORDER BY time LIMIT ?");

  return {
    begin: ({ id, time, revocation }) => guarded(() => void insert.run(id, time, JSON.stringify(revocation))),
    finish: ({ id }) => guarded(() => void remove.run(id)),
    unfinished: (before, limit) =>
      guarded(() =>
        select.all(before, limit).map(({ id, time, document }) => ({
          id: String(id),
          time: Number(time),
          revocation: JSON.parse(String(document)) as Revocation,
        })),
      ),
  };
}
