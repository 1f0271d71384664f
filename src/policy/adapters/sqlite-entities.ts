import type { DatabaseSync } from "node:sqlite";
import { migrate } from "../../shared/store/migrations.ts";
import { guarded, transaction } from "../../shared/store/sqlite.ts";
import type { EntityJson, EntityUid } from "../cedar/types.ts";
import type { EntityRepository, StoredEntities } from "../domain/entity-repository.ts";
import { policyMigrations } from "./sqlite-schema.ts";

/** Entities in SQLite, in the tables of policyMigrations. */
export function createSqliteEntityRepository(database: DatabaseSync): EntityRepository {
  migrate(database, "policy", policyMigrations);
  const getRevision = database.prepare("SELECT revision FROM entity_revision");
  const setRevision = database.prepare("UPDATE entity_revision SET revision = ? WHERE revision = ?");
  const all = database.prepare("SELECT entity FROM entities");
  const one = database.prepare("SELECT entity FROM entities WHERE type = ? AND id = ?");
  const put = database.prepare(
    "INSERT INTO entities VALUES (?, ?, ?) ON CONFLICT (type, id) DO UPDATE SET entity = excluded.entity",
  );
  const remove = database.prepare("DELETE FROM entities WHERE type = ? AND id = ?");
  const currentRevision = (): number => Number(getRevision.get()?.revision);

  /** Reads in one transaction, so that the revision is that of the entities. */
  function read(rows: () => readonly Record<string, unknown>[]): StoredEntities {
    return transaction(database, () => ({
      revision: currentRevision(),
      entities: rows().map(({ entity }) => JSON.parse(String(entity)) as EntityJson),
    }));
  }

  return {
    revision: async () => guarded(currentRevision),
    load: async () => guarded(() => read(() => all.all())),
    read: async (uids) =>
      guarded(() => read(() => uids.map(({ type, id }) => one.get(type, id)).filter((row) => row !== undefined))),
    change: async (expected, { puts, deletes }) =>
      guarded(() =>
        transaction(database, () => {
          if (setRevision.run(expected + 1, expected).changes === 0) return undefined;
          for (const { type, id } of deletes) remove.run(type, id);
          for (const entity of puts) {
            const { type, id } = entity.uid as EntityUid;
            put.run(type, id, JSON.stringify(entity));
          }
          return expected + 1;
        }),
      ),
  };
}
