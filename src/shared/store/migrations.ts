import type { DatabaseSync } from "node:sqlite";
import { transaction } from "./sqlite.ts";

/** The database is newer than this program; the message says what to do. */
export class MigrationError extends Error {
  override readonly name = "MigrationError";
}

/**
 * Brings the tables of one component up to date, in one transaction: runs those of its numbered migrations that the
 * database has not seen. Number n is the n-th of the list; a published one never changes.
 *
 * @throws MigrationError when the database has seen more migrations than there are.
 */
export function migrate(database: DatabaseSync, component: string, migrations: readonly string[]): void {
  database.exec(
    "CREATE TABLE IF NOT EXISTS migrations (component TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID",
  );
  transaction(database, () => {
    const row = database.prepare("SELECT version FROM migrations WHERE component = ?").get(component);
    const version = Number(row?.version ?? 0);
    if (version > migrations.length) {
      throw new MigrationError(
        `The ${component} tables are of version ${version}, this program knows ${migrations.length}: use a newer one.`,
      );
    }
    if (version === migrations.length) return;
    for (const migration of migrations.slice(version)) database.exec(migration);
    database
      .prepare("INSERT INTO migrations VALUES (?, ?) ON CONFLICT (component) DO UPDATE SET version = excluded.version")
      .run(component, migrations.length);
  });
}
