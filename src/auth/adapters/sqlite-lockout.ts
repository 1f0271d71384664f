import type { DatabaseSync } from "node:sqlite";
import { migrate } from "../../shared/store/migrations.ts";
import { guarded, transaction } from "../../shared/store/sqlite.ts";
import {
  type CounterState,
  type FailureCounter,
  type Failures,
  forgettingMs,
  knownNetworkMs,
  type LockoutStore,
  maxKnownNetworks,
  nextFailures,
} from "../domain/lockout.ts";

/** `network` is empty for the counter that all networks share which are not known. */
const migrations: readonly string[] = [
  `
  CREATE TABLE failure_counters (
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    network TEXT NOT NULL,
    count INTEGER NOT NULL,
    last_time INTEGER NOT NULL,
    blocked_until INTEGER NOT NULL,
    forget_time INTEGER NOT NULL,
    PRIMARY KEY (kind, subject, network)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX failure_counters_by_forget_time ON failure_counters (forget_time);
  CREATE TABLE known_networks (
    subject TEXT NOT NULL,
    network TEXT NOT NULL,
    last_time INTEGER NOT NULL,
    PRIMARY KEY (subject, network)
  ) STRICT, WITHOUT ROWID;
  `,
];

/** Forgotten counters that one failure clears away at most. */
const sweepLimit = 100;
/** Uses of a known network closer together than this are not recorded, so that most sign-ins write nothing here. */
const touchIntervalMs = 3_600_000;

const noFailures: Failures = { count: 0, lastTime: 0, blockedUntil: 0 };

/** Keeps counters of failures in SQLite. Answers at once, without promises. */
export function createSqliteLockoutStore(database: DatabaseSync): LockoutStore {
  migrate(database, "auth-lockout", migrations);
  const selectKnown = database.prepare(
    "SELECT 1 FROM known_networks WHERE subject = ? AND network = ? AND last_time > ?",
  );
  const select = database.prepare(
    `SELECT count, last_time AS lastTime, blocked_until AS blockedUntil FROM failure_counters
    WHERE kind = ? AND subject = ? AND network = ?`,
  );
  const put = database.prepare("INSERT OR REPLACE INTO failure_counters VALUES (?, ?, ?, ?, ?, ?, ?)");
  const remove = database.prepare("DELETE FROM failure_counters WHERE kind = ? AND subject = ? AND network = ?");
  const removeAll = database.prepare("DELETE FROM failure_counters WHERE kind = ? AND subject = ?");
  const sweep = database.prepare(
    `DELETE FROM failure_counters WHERE (kind, subject, network) IN
      (SELECT kind, subject, network FROM failure_counters WHERE forget_time <= ? LIMIT ${sweepLimit})`,
  );
  const remember = database.prepare(
    `INSERT INTO known_networks VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET last_time = excluded.last_time
    WHERE last_time <= excluded.last_time - ${touchIntervalMs}`,
  );
  const forgetBeyond = database.prepare(
    `DELETE FROM known_networks WHERE subject = ?1 AND network IN
      (SELECT network FROM known_networks WHERE subject = ?1 ORDER BY last_time DESC LIMIT -1 OFFSET ${maxKnownNetworks})`,
  );

  /** Finds the counter that counts for an attempt, and what it holds. */
  function find({ kind, subject, network = "" }: FailureCounter, now: number) {
    const known = selectKnown.get(subject, network, now - knownNetworkMs) !== undefined;
    const key = [kind, subject, known ? network : ""] as const;
    const failures = (select.get(...key) as unknown as Failures | undefined) ?? noFailures;
    const blockedUntil = failures.blockedUntil > now ? failures.blockedUntil : 0;
    const state: CounterState = { blockedUntil, known, delayedUntil: 0 };
    return { key, failures, state };
  }

  return {
    read: (counter, now) => guarded(() => find(counter, now).state),
    fail: (counter, rule, now) =>
      guarded(() =>
        transaction(database, () => {
          sweep.run(now);
          const { key, failures, state } = find(counter, now);
          if (state.blockedUntil > 0) return state;
          const { count, lastTime, blockedUntil } = nextFailures(failures, rule, now);
          const forgetTime = Math.max(now, blockedUntil) + forgettingMs(count, rule);
          put.run(...key, count, lastTime, blockedUntil, forgetTime);
          return { ...state, delayedUntil: blockedUntil };
        }),
      ),
    succeed: (counter, now) =>
      guarded(() =>
        transaction(database, () => {
          const { key, state } = find(counter, now);
          if (state.blockedUntil > 0) return state;
          remove.run(...key);
          if (counter.network === undefined) return state;
          remember.run(counter.subject, counter.network, now);
          forgetBeyond.run(counter.subject);
          return { ...state, known: true };
        }),
      ),
    forget: (kind, subject) =>
      guarded(() => {
        removeAll.run(kind, subject);
      }),
  };
}
