import type { DatabaseSync } from "node:sqlite";
import { migrate } from "../../shared/store/migrations.ts";
import { guarded, transaction } from "../../shared/store/sqlite.ts";
import { revisionId } from "../domain/build-snapshot.ts";
import type { PolicySource } from "../domain/policy-source.ts";
import {
  initialState,
  keptRevisions,
  type PolicyState,
  type RevisionStore,
  type StoredRevision,
} from "../domain/revision-store.ts";
import { policyMigrations } from "./sqlite-schema.ts";

/** Revisions in SQLite, in the tables of policyMigrations. */
export function createSqliteRevisionStore(database: DatabaseSync): RevisionStore {
  migrate(database, "policy", policyMigrations);
  const columns = "id, sequence, content_hash, create_time, comment, policy_count";
  const byHash = database.prepare(`SELECT ${columns} FROM revisions WHERE content_hash = ?`);
  const byId = database.prepare(`SELECT ${columns} FROM revisions WHERE id = ?`);
  const nextSequence = database.prepare(
    "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'revisions'), 0) + 1 AS next",
  );
  const insert = database.prepare("INSERT INTO revisions VALUES (?, ?, ?, ?, ?, ?, ?)");
  const source = database.prepare("SELECT source FROM revisions WHERE id = ?");
  const page = database.prepare(`SELECT ${columns} FROM revisions WHERE sequence < ? ORDER BY sequence DESC LIMIT ?`);
  const prune = database.prepare(
    "DELETE FROM revisions WHERE sequence <= ? AND id NOT IN (SELECT value FROM json_each(?))",
  );
  const getState = database.prepare("SELECT state FROM policy_state WHERE only = 1");
  const putState = database.prepare(
    `INSERT INTO policy_state VALUES (1, ?, ?)
     ON CONFLICT (only) DO UPDATE SET generation = excluded.generation, state = excluded.state
     WHERE generation = excluded.generation - 1`,
  );
  const putReport = database.prepare(
    `INSERT INTO shadow_reports VALUES (?, ?, ?)
     ON CONFLICT (replica) DO UPDATE SET comparison = excluded.comparison, report = excluded.report`,
  );
  const reports = database.prepare("SELECT replica, report FROM shadow_reports WHERE comparison = ?");

  function readState(): PolicyState {
    const row = getState.get();
    return row === undefined ? initialState : (JSON.parse(String(row.state)) as PolicyState);
  }

  return {
    publish: async ({ contentHash, createTime, comment, policyCount, source }) =>
      guarded(() =>
        transaction(database, () => {
          const known = byHash.get(contentHash);
          if (known !== undefined) return toRevision(known);
          const sequence = Number(nextSequence.get()?.next);
          const id = revisionId(sequence, contentHash);
          insert.run(sequence, id, contentHash, createTime, comment, policyCount, JSON.stringify(source));
          const { active, history, shadow } = readState();
          const named = [active, ...history, ...(shadow === undefined ? [] : [shadow.revision])];
          prune.run(sequence - keptRevisions, JSON.stringify(named));
          return { id, sequence, contentHash, createTime, comment, policyCount };
        }),
      ),
    find: async (id) =>
      guarded(() => {
        const row = byId.get(id);
        return row === undefined ? undefined : toRevision(row);
      }),
    source: async (id) =>
      guarded(() => {
        const row = source.get(id);
        return row === undefined ? undefined : (JSON.parse(String(row.source)) as PolicySource);
      }),
    list: async (beforeSequence, limit) => guarded(() => page.all(beforeSequence, limit).map(toRevision)),
    state: async () => guarded(readState),
    change: async (next) => guarded(() => putState.run(next.generation, JSON.stringify(next)).changes === 1),
    saveShadowReport: async (comparison, replica, report) =>
      guarded(() => void putReport.run(replica, comparison, report)),
    shadowReports: async (comparison) =>
      guarded(() => new Map(reports.all(comparison).map(({ replica, report }) => [String(replica), String(report)]))),
  };
}

function toRevision(row: Record<string, unknown>): StoredRevision {
  return {
    id: String(row.id),
    sequence: Number(row.sequence),
    contentHash: String(row.content_hash),
    createTime: Number(row.create_time),
    comment: String(row.comment),
    policyCount: Number(row.policy_count),
  };
}
