import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { DatabaseSync } from "node:sqlite";
import { migrate } from "../store/migrations.ts";
import { guarded, transaction } from "../store/sqlite.ts";

/** An event that is yet to be published. */
export interface SpooledEvent {
  /** Identifier that it is published under, however often. */
  readonly id: string;
  readonly operation: string;
  /** The event, encoded. */
  readonly payload: Uint8Array;
}

export interface SpooledRow extends SpooledEvent {
  readonly row: number;
}

/**
 * Where events are kept until the bus has them: a SQLite file that processes of one service on one machine share. What is
 * added outlives the process at once. Each process publishes its own, and those of processes that are gone.
 *
 * Methods throw ServiceError UNAVAILABLE (STORE_UNAVAILABLE) when the file is full, or its disk is or fails.
 */
export interface Spool {
  /** Adds events, in one step. */
  add(events: readonly SpooledEvent[]): void;
  /** Adds one that is not published before `release`, unless this process is gone by then. Outlives a power cut. */
  hold(event: SpooledEvent): number;
  /** Lets go of a held one, in its final form. Outlives a power cut. False when somebody has published it meanwhile. */
  release(row: number, event: SpooledEvent): boolean;
  /** The oldest ones of this process that are to be published. */
  next(limit: number): readonly SpooledRow[];
  remove(rows: readonly SpooledRow[]): void;
  /** Shows that this process is alive, and takes over what processes that are not have left. Answers how many. */
  tend(): number;
  /** How many are kept, those of other processes included. */
  size(): number;
  close(): void;
}

const migrations = [
  `
  CREATE TABLE spool (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    held INTEGER NOT NULL,
    id TEXT NOT NULL,
    operation TEXT NOT NULL,
    payload BLOB NOT NULL
  ) STRICT;
  CREATE INDEX spool_order ON spool (owner, held, row);
  CREATE TABLE spool_owner (name TEXT PRIMARY KEY, host TEXT NOT NULL, pid INTEGER NOT NULL, seen INTEGER NOT NULL) STRICT;
  `,
];

/** After how long without a sign of life a process of another machine, or container, counts as gone, in milliseconds. */
const goneAfterMs = 30_000;

export interface SpoolOptions {
  readonly database: DatabaseSync;
  /** Most that the file may hold, in bytes; beyond, nothing can be added. */
  readonly maxBytes: number;
  readonly now?: () => number;
}

export function createSpool({ database, maxBytes, now = Date.now }: SpoolOptions): Spool {
  migrate(database, "audit", migrations);
  const pageSize = Number(database.prepare("PRAGMA page_size").get()?.page_size);
  database.exec(`PRAGMA max_page_count = ${Math.max(64, Math.ceil(maxBytes / pageSize))}`);
  // A commit then is a write and not a sync: it outlives the process, though not the machine. See `durably`.
  database.exec("PRAGMA synchronous = NORMAL");

  const owner = randomBytes(12).toString("base64url");
  const host = hostname();
  const insert = database.prepare("INSERT INTO spool (owner, held, id, operation, payload) VALUES (?, ?, ?, ?, ?)");
  const finish = database.prepare(
    "UPDATE spool SET held = 0, operation = ?, payload = ? WHERE row = ? AND owner = ? AND held = 1",
  );
  const oldest = database.prepare(
    "SELECT row, id, operation, payload FROM spool WHERE owner = ? AND held = 0 ORDER BY row LIMIT ?",
  );
  const remove = database.prepare("DELETE FROM spool WHERE row IN (SELECT value FROM json_each(?))");
  const count = database.prepare("SELECT count(*) AS count FROM spool");
  const beat = database.prepare(
    `INSERT INTO spool_owner (name, host, pid, seen) VALUES (?, ?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET seen = excluded.seen`,
  );
  const others = database.prepare("SELECT name, host, pid, seen FROM spool_owner WHERE name != ?");
  const adopt = database.prepare("UPDATE spool SET owner = ?, held = 0 WHERE owner = ?");
  const forget = database.prepare("DELETE FROM spool_owner WHERE name = ?");

  function durably<T>(work: () => T): T {
    database.exec("PRAGMA synchronous = FULL");
    try {
      return work();
    } finally {
      database.exec("PRAGMA synchronous = NORMAL");
    }
  }

  function put({ id, operation, payload }: SpooledEvent, held: number): number {
    return Number(insert.run(owner, held, id, operation, payload).lastInsertRowid);
  }

  function isGone(other: { readonly host: unknown; readonly pid: unknown; readonly seen: unknown }): boolean {
    if (now() - Number(other.seen) > goneAfterMs) return true;
    // Our own number under another name is that of a process before us.
    return other.host === host && (Number(other.pid) === process.pid || !isRunning(Number(other.pid)));
  }

  const spool: Spool = {
    add(events) {
      guarded(() => transaction(database, () => events.forEach((event) => void put(event, 0))));
    },
    hold: (event) => guarded(() => durably(() => put(event, 1))),
    release: (row, { operation, payload }) =>
      guarded(() => durably(() => finish.run(operation, payload, row, owner).changes === 1)),
    next: (limit) => guarded(() => oldest.all(owner, limit)) as unknown as SpooledRow[],
    remove(rows) {
      guarded(() => remove.run(JSON.stringify(rows.map(({ row }) => row))));
    },
    tend: () =>
      guarded(() =>
        transaction(database, () => {
          beat.run(owner, host, process.pid, now());
          let adopted = 0;
          for (const other of others.all(owner) as unknown as {
            name: string;
            host: string;
            pid: number;
            seen: number;
          }[]) {
            if (!isGone(other)) continue;
            adopted += Number(adopt.run(owner, other.name).changes);
            forget.run(other.name);
          }
          return adopted;
        }),
      ),
    size: () => guarded(() => Number(count.get()?.count)),
    close() {
      // What is left is for whoever comes next, without waiting.
      guarded(() => database.prepare("UPDATE spool_owner SET seen = 0 WHERE name = ?").run(owner));
      database.close();
    },
  };
  spool.tend();
  return spool;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
