import type { DatabaseSync } from "node:sqlite";
import { migrate } from "../../shared/store/migrations.ts";
import { guarded, transaction } from "../../shared/store/sqlite.ts";
import type { SigningKeyRecord, SigningKeyStore } from "../domain/tokens/signing-keys.ts";
import { tokenMigrations } from "./sqlite-token-schema.ts";

/** Keeps signing keys in SQLite, all in one row: they are few and change together. */
export function createSqliteSigningKeyStore(database: DatabaseSync): SigningKeyStore {
  migrate(database, "auth-tokens", tokenMigrations);
  const select = database.prepare("SELECT version, keys FROM signing_keys");
  const upsert = database.prepare(
    "INSERT INTO signing_keys VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE SET version = excluded.version, keys = excluded.keys",
  );
  const versionOf = (row: ReturnType<typeof select.get>): number => Number(row?.version ?? 0);

  return {
    load: () =>
      guarded(() => {
        const row = select.get();
        const keys = JSON.parse(String(row?.keys ?? "[]")) as SigningKeyRecord[];
        return { version: versionOf(row), keys };
      }),
    replace: (version, keys) =>
      guarded(() =>
        transaction(database, () => {
          if (versionOf(select.get()) !== version) return false;
          upsert.run(version + 1, JSON.stringify(keys));
          return true;
        }),
      ),
  };
}
