import type { DatabaseSync } from "node:sqlite";
import { migrate } from "../../shared/store/migrations.ts";
import { guarded, transaction } from "../../shared/store/sqlite.ts";
import type { SecondFactorStore, StoredSecondFactors } from "../domain/second-factors.ts";

/** Secrets are sealed, and codes hashed. */
const migrations: readonly string[] = [
  `
  CREATE TABLE second_factors (
    user TEXT PRIMARY KEY,
    pending_secret TEXT,
    pending_expire_time INTEGER,
    secret TEXT,
    last_step INTEGER,
    create_time INTEGER
  ) STRICT;
  CREATE TABLE backup_codes (user TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (user, hash)) STRICT, WITHOUT ROWID;
  `,
];

interface Row {
  pending_secret: string | null;
  pending_expire_time: number | null;
  secret: string | null;
  create_time: number | null;
  codes: number;
}

/** Keeps second factors in SQLite. Answers at once, without promises. */
export function createSqliteSecondFactorStore(database: DatabaseSync): SecondFactorStore {
  migrate(database, "auth-second-factors", migrations);
  const select = database.prepare(
    `SELECT pending_secret, pending_expire_time, secret, create_time,
      (SELECT count(*) FROM backup_codes WHERE backup_codes.user = second_factors.user) AS codes
    FROM second_factors WHERE user = ?`,
  );
  const begin = database.prepare(
    `INSERT INTO second_factors (user, pending_secret, pending_expire_time) VALUES (?, ?, ?) ON CONFLICT DO UPDATE
    SET pending_secret = excluded.pending_secret, pending_expire_time = excluded.pending_expire_time`,
  );
  const confirm = database.prepare(
    `UPDATE second_factors SET secret = pending_secret, last_step = ?, create_time = ?, pending_secret = NULL,
      pending_expire_time = NULL
    WHERE user = ? AND pending_secret = ?`,
  );
  const useStep = database.prepare(
    "UPDATE second_factors SET last_step = ?1 WHERE user = ?2 AND secret = ?3 AND last_step < ?1",
  );
  const hasSecret = database.prepare("SELECT 1 FROM second_factors WHERE user = ? AND secret IS NOT NULL");
  const remove = database.prepare("DELETE FROM second_factors WHERE user = ?");
  const insertCode = database.prepare("INSERT INTO backup_codes VALUES (?, ?)");
  const removeCode = database.prepare("DELETE FROM backup_codes WHERE user = ? AND hash = ?");
  const removeCodes = database.prepare("DELETE FROM backup_codes WHERE user = ?");

  function replaceCodes(user: string, hashes: readonly string[]): void {
    removeCodes.run(user);
    for (const hash of hashes) insertCode.run(user, hash);
  }

  return {
    find: (user) => guarded(() => fromRow(select.get(user) as Row | undefined)),
    begin: (user, sealedSecret, expireTime) =>
      guarded(() => {
        begin.run(user, sealedSecret, expireTime);
      }),
    confirm: (user, sealedSecret, step, backupCodeHashes, now) =>
      guarded(() =>
        transaction(database, () => {
          const confirmed = confirm.run(step, now, user, sealedSecret).changes === 1;
          if (confirmed) replaceCodes(user, backupCodeHashes);
          return confirmed;
        }),
      ),
    useStep: (user, sealedSecret, step) => guarded(() => useStep.run(step, user, sealedSecret).changes === 1),
    useBackupCode: (user, codeHash) => guarded(() => removeCode.run(user, codeHash).changes === 1),
    replaceBackupCodes: (user, codeHashes) =>
      guarded(() =>
        transaction(database, () => {
          const enrolled = hasSecret.get(user) !== undefined;
          if (enrolled) replaceCodes(user, codeHashes);
          return enrolled;
        }),
      ),
    remove: (user) =>
      guarded(() =>
        transaction(database, () => {
          const enrolled = hasSecret.get(user) !== undefined;
          removeCodes.run(user);
          remove.run(user);
          return enrolled;
        }),
      ),
  };
}

function fromRow(row: Row | undefined): StoredSecondFactors {
  const { pending_secret: pendingSecret = null, secret = null } = row ?? {};
  return {
    totp: secret === null ? undefined : { sealedSecret: secret, createTime: row!.create_time! },
    pending:
      pendingSecret === null ? undefined : { sealedSecret: pendingSecret, expireTime: row!.pending_expire_time! },
    backupCodesLeft: row?.codes ?? 0,
  };
}
