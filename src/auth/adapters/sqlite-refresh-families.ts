import type { DatabaseSync } from "node:sqlite";
import { migrate } from "../../shared/store/migrations.ts";
import { guarded, transaction } from "../../shared/store/sqlite.ts";
import type {
  RefreshFamily,
  RefreshFamilyStore,
  RefreshOutcome,
  RefreshUse,
} from "../domain/tokens/refresh-families.ts";
import { tokenMigrations } from "./sqlite-token-schema.ts";

interface Row {
  session_id: string;
  series: string;
  current: string;
  previous: string;
  issue_time: number;
  successor: string;
  client: string;
  scopes: string;
  expire_time: number;
}

/** Expired families that one new one clears away at most. */
const sweepLimit = 100;

/** Keeps refresh families in SQLite. Answers at once, without promises. */
export function createSqliteRefreshFamilyStore(database: DatabaseSync): RefreshFamilyStore {
  migrate(database, "auth-tokens", tokenMigrations);
  const select = database.prepare("SELECT * FROM refresh_families WHERE session_id = ?");
  const insert = database.prepare("INSERT INTO refresh_families VALUES (?, ?, ?, '', ?, '', ?, ?, ?)");
  const rotate = database.prepare(
    `UPDATE refresh_families SET current = ?, previous = ?, issue_time = ?, successor = ?, client = ?
    WHERE session_id = ?`,
  );
  const revoke = database.prepare(
    "UPDATE refresh_families SET current = '', previous = '', successor = '' WHERE session_id = ?",
  );
  const remove = database.prepare("DELETE FROM refresh_families WHERE session_id = ?");
  const sweep = database.prepare(
    `DELETE FROM refresh_families WHERE session_id IN
      (SELECT session_id FROM refresh_families WHERE expire_time <= ? LIMIT ${sweepLimit})`,
  );

  function spend(use: RefreshUse): RefreshOutcome {
    const { sessionId, seriesHash, presentedHash, successorHash, sealedSuccessor, client, now, graceMs } = use;
    const row = select.get(sessionId) as Row | undefined;
    if (row?.series !== seriesHash || (row.client !== "" && row.client !== client)) return { kind: "unknown" };
    if (row.current === presentedHash) {
      rotate.run(successorHash, presentedHash, now, sealedSuccessor, client, sessionId);
      return { kind: "rotated" };
    }
    if (row.current !== "" && row.previous === presentedHash && now - row.issue_time < graceMs) {
      return { kind: "repeated", sealedSuccessor: row.successor };
    }
    revoke.run(sessionId);
    return { kind: "reused" };
  }

  return {
    add: ({ sessionId, seriesHash, currentHash, issueTime, client, scopes, expireTime }) =>
      guarded(() =>
        transaction(database, () => {
          sweep.run(issueTime);
          insert.run(sessionId, seriesHash, currentHash, issueTime, client, JSON.stringify(scopes), expireTime);
        }),
      ),
    find: (partition, sessionId) => guarded(() => fromRow(partition, select.get(sessionId))),
    use: (use) => guarded(() => transaction(database, () => spend(use))),
    remove: (_partition, sessionId) =>
      guarded(() => {
        remove.run(sessionId);
      }),
  };
}

function fromRow(partition: string, row: unknown): RefreshFamily | undefined {
  if (row === undefined) return undefined;
  const { session_id, series, current, issue_time, client, scopes, expire_time } = row as Row;
  return {
    sessionId: session_id,
    partition,
    seriesHash: series,
    currentHash: current,
    issueTime: issue_time,
    client,
    scopes: JSON.parse(scopes) as string[],
    expireTime: expire_time,
  };
}
