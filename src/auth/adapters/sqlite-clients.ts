import type { DatabaseSync } from "node:sqlite";
import { migrate } from "../../shared/store/migrations.ts";
import { guarded, transaction } from "../../shared/store/sqlite.ts";
import type { ClientStore, OAuthClient } from "../domain/clients.ts";
import type { Clock } from "../domain/clock.ts";
import { tokenMigrations } from "./sqlite-token-schema.ts";
import { assertionHash } from "./used-assertion.ts";

/** Keeps OAuth clients in SQLite, each as one JSON document. Answers at once, without promises. */
export function createSqliteClientStore(database: DatabaseSync, clock: Clock): ClientStore {
  migrate(database, "auth-tokens", tokenMigrations);
  const select = database.prepare("SELECT document FROM oauth_clients WHERE id = ?");
  const selectAfter = database.prepare("SELECT document FROM oauth_clients WHERE id > ? ORDER BY id LIMIT ?");
  const insert = database.prepare("INSERT INTO oauth_clients VALUES (?, ?) ON CONFLICT DO NOTHING");
  const update = database.prepare("UPDATE oauth_clients SET document = ? WHERE id = ?");
  const remove = database.prepare("DELETE FROM oauth_clients WHERE id = ?");
  const sweepAssertions = database.prepare("DELETE FROM used_assertions WHERE expire_time <= ?");
  const insertAssertion = database.prepare("INSERT INTO used_assertions VALUES (?, ?) ON CONFLICT DO NOTHING");

  const find = (id: string): OAuthClient | undefined => fromRow(select.get(id));

  return {
    find: (id) => guarded(() => find(id)),
    create: (client) => guarded(() => insert.run(client.id, JSON.stringify(client)).changes === 1),
    update: (id, changes) =>
      guarded(() =>
        transaction(database, () => {
          const client = find(id);
          if (client === undefined) return false;
          update.run(JSON.stringify({ ...client, ...changes }), id);
          return true;
        }),
      ),
    replaceSecrets: (id, before, after) =>
      guarded(() =>
        transaction(database, () => {
          const client = find(id);
          if (client === undefined || JSON.stringify(client.secretHashes) !== JSON.stringify(before)) return false;
          update.run(JSON.stringify({ ...client, secretHashes: after }), id);
          return true;
        }),
      ),
    delete: (id) => guarded(() => remove.run(id).changes === 1),
    list: (after, limit) => guarded(() => selectAfter.all(after, limit).map((row) => fromRow(row)!)),
    useAssertion: (client, assertionId, expireTime) =>
      guarded(() =>
        transaction(database, () => {
          sweepAssertions.run(clock());
          return insertAssertion.run(assertionHash(client, assertionId), expireTime).changes === 1;
        }),
      ),
  };
}

function fromRow(row: Record<string, unknown> | undefined): OAuthClient | undefined {
  return row === undefined ? undefined : (JSON.parse(String(row.document)) as OAuthClient);
}
