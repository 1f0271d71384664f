import type { DatabaseSync } from "node:sqlite";
import { migrate } from "../../shared/store/migrations.ts";
import { guarded, transaction } from "../../shared/store/sqlite.ts";
import type { Clock } from "../domain/clock.ts";
import type { RevocationStore } from "../domain/revocations.ts";
import { tokenMigrations } from "./sqlite-token-schema.ts";

/** Keeps revocations in SQLite. Answers at once, without promises. Each write clears away what has expired. */
export function createSqliteRevocationStore(database: DatabaseSync, clock: Clock): RevocationStore {
  migrate(database, "auth-tokens", tokenMigrations);
  const insertToken = database.prepare(
    "INSERT INTO revoked_tokens VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET expire_time = max(expire_time, excluded.expire_time)",
  );
  const selectToken = database.prepare("SELECT 1 FROM revoked_tokens WHERE id = ?");
  const sweepTokens = database.prepare("DELETE FROM revoked_tokens WHERE expire_time <= ?");
  const insertSubject = database.prepare(
    `INSERT INTO revoked_subjects VALUES (?, ?, ?, ?) ON CONFLICT (kind, id) DO UPDATE
      SET time = max(time, excluded.time), expire_time = max(expire_time, excluded.expire_time)`,
  );
  const selectSubject = database.prepare("SELECT time FROM revoked_subjects WHERE kind = ? AND id = ?");
  const sweepSubjects = database.prepare("DELETE FROM revoked_subjects WHERE expire_time <= ?");

  return {
    revokeToken: (tokenId, expireTime) =>
      guarded(() =>
        transaction(database, () => {
          sweepTokens.run(clock());
          insertToken.run(tokenId, expireTime);
        }),
      ),
    isTokenRevoked: (tokenId) => guarded(() => selectToken.get(tokenId) !== undefined),
    revokeSubject: (kind, id, time, expireTime) =>
      guarded(() =>
        transaction(database, () => {
          sweepSubjects.run(clock());
          insertSubject.run(kind, id, time, expireTime);
        }),
      ),
    revokedUpTo: (kind, id) => guarded(() => Number(selectSubject.get(kind, id)?.time ?? 0)),
  };
}
