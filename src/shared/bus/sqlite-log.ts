import type { DatabaseSync } from "node:sqlite";
import { ServiceError } from "../service-error.ts";
import { transaction } from "../store/sqlite.ts";
import {
  type Delivery,
  deadLettersFull,
  type GroupMember,
  type Log,
  type LogEntry,
  type LogReader,
  maxDeadLetters,
  topicFull,
  unavailable,
} from "./log.ts";
import { origin, type Position } from "./position.ts";
import { prepareBusStatements } from "./sqlite-statements.ts";
import { backlogFactor } from "./topic.ts";

export interface SqliteLogOptions {
  /** An open database in WAL mode, with a busy timeout. It stays open when the log is closed. */
  readonly database: DatabaseSync;
  /** How often to look for what other processes have published, in milliseconds. Default: 5. */
  readonly pollMs?: number;
  /** The wall clock, in milliseconds since the epoch, shared by all processes. Default: `Date.now`. */
  readonly now?: () => number;
}

interface MessageRow {
  readonly position: number;
  readonly previous: number;
  readonly target: string | null;
  readonly body: Uint8Array;
}

/**
 * Topics in tables of a SQLite file that local processes share. A position is a row's number, `<row>-0`; what this process
 * publishes wakes its readers at once, what others publish within `pollMs`.
 */
export function createSqliteLog({ database, pollMs = 5, now = Date.now }: SqliteLogOptions): Log {
  const sql = prepareBusStatements(database);
  const sleepers = new Set<() => void>();
  const appended = new Map<string, { count: number; full: boolean }>();
  let poll: NodeJS.Timeout | undefined;
  let seen = 0;

  function step<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw error instanceof ServiceError ? error : unavailable(error);
    }
  }

  const atomically = <T>(work: () => T): T => step(() => transaction(database, work));

  function wake(): void {
    for (const sleeper of [...sleepers]) sleeper();
  }

  function look(): void {
    try {
      const last = Number(sql.lastOfAll.get()?.position ?? 0);
      if (last === seen) return;
      seen = last;
      wake();
    } catch {
      // Whoever is woken meets the same error, and reports it.
      wake();
    }
  }

  /** Sleeps until something is published anywhere, or for some milliseconds. */
  async function sleep(milliseconds: number, wakers: Set<() => void>): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        sleepers.delete(done);
        wakers.delete(done);
        if (sleepers.size === 0) {
          clearInterval(poll);
          poll = undefined;
        }
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      sleepers.add(done);
      wakers.add(done);
      poll ??= setInterval(look, pollMs);
    });
  }

  const last = (topic: string): Position => toPosition(Number(sql.last.get(topic)?.position ?? 0));

  function ensureGroup(topic: string, group: string): void {
    sql.createGroup.run(topic, group);
  }

  /** Forgets the oldest messages beyond the length, but none that a group has yet to acknowledge. */
  function trim(topic: string, maxLength: number): void {
    const state = appended.get(topic) ?? { count: 0, full: false };
    appended.set(topic, state);
    if (state.count % 100 === 0 || state.full) {
      sql.trim.run({ topic, keep: maxLength });
      state.full = Number(sql.count.get(topic)?.count) >= maxLength * backlogFactor + 100;
    }
    if (state.full) throw topicFull();
    state.count += 1;
  }

  function openReader(): LogReader {
    const wakers = new Set<() => void>();
    let closed = false;

    /** Asks until there is an answer, nobody is there any more to hear it, or time is up. */
    async function wait<T>(waitMs: number, ask: () => readonly T[]): Promise<{ found: readonly T[]; asked: number }> {
      const end = performance.now() + waitMs;
      for (;;) {
        if (closed) throw unavailable(new Error("The reader is closed."));
        const asked = performance.now();
        const found = step(ask);
        if (found.length > 0 || asked >= end) return { found, asked };
        await sleep(Math.max(1, end - asked), wakers);
      }
    }

    return {
      last: async (topic) => step(() => last(topic)),
      async read(topic, after, limit, waitMs) {
        const { found, asked } = await wait(
          waitMs,
          () => sql.read.all(topic, toRow(after), limit) as unknown as MessageRow[],
        );
        return { entries: found.map(toEntry), asOf: found.length < limit ? asked : undefined };
      },
      async readGroup(member, limit, waitMs) {
        const { found } = await wait(waitMs, () => {
          // Looking costs no write lock; most looks find nothing.
          const known = sql.group.get(member.topic, member.group);
          if (known !== undefined && sql.read.get(member.topic, Number(known.position), 1) === undefined) return [];
          return atomically(() => take(member, limit));
        });
        return found;
      },
      close() {
        closed = true;
        for (const waker of [...wakers]) waker();
      },
    };
  }

  function take({ topic, group, consumer }: GroupMember, limit: number): Delivery[] {
    ensureGroup(topic, group);
    const position = Number(sql.group.get(topic, group)?.position ?? 0);
    const rows = sql.read.all(topic, position, limit) as unknown as MessageRow[];
    for (const row of rows) sql.deliver.run(topic, group, row.position, consumer, now());
    const end = rows.at(-1);
    if (end !== undefined) sql.moveGroup.run(end.position, topic, group);
    return rows.map((row) => ({ ...toEntry(row), deliveries: 1 }));
  }

  return {
    openReader,
    async append(topic, maxLength, body) {
      const position = atomically(() => {
        trim(topic, maxLength);
        return Number(sql.append.run({ topic, target: null, body }).lastInsertRowid);
      });
      wake();
      return toPosition(position);
    },
    async appendAll(topic, maxLength, bodies) {
      atomically(() => {
        for (const body of bodies) {
          trim(topic, maxLength);
          sql.append.run({ topic, target: null, body });
        }
      });
      wake();
    },
    last: async (topic) => step(() => last(topic)),
    claim: async ({ topic, group, consumer }, idleMs, limit) =>
      atomically(() => {
        ensureGroup(topic, group);
        const rows = sql.idle.all(topic, group, now() - idleMs, limit) as unknown as (MessageRow & {
          deliveries: number;
        })[];
        return rows.map((row): Delivery => {
          sql.redeliver.run(consumer, now(), topic, group, row.position);
          return { ...toEntry(row), deliveries: row.deliveries + 1 };
        });
      }),
    acknowledge: async ({ topic, group }, position) => {
      step(() => sql.acknowledge.run(topic, group, toRow(position)));
    },
    touch: async ({ topic, group, consumer }, positions, idleMs) => {
      atomically(() => {
        for (const position of positions)
          sql.touch.run(now() - Math.max(0, idleMs), topic, group, toRow(position), consumer);
      });
    },
    bury: async ({ topic, group }, { position, body, deliveries }, error) => {
      atomically(() => {
        if (Number(sql.countDead.get(topic)?.count) >= maxDeadLetters) throw deadLettersFull();
        if (sql.acknowledge.run(topic, group, toRow(position)).changes === 0) return;
        sql.bury.run(topic, group, toRow(position), body, error, deliveries, now());
      });
    },
    listDead: async (topic, after, limit) =>
      step(() => sql.listDead.all(topic, toRow(after), limit)).map((row) => ({
        id: toPosition(Number(row.id)),
        topic,
        group: String(row.grp),
        position: toPosition(Number(row.position)),
        body: row.body as Uint8Array,
        error: String(row.error),
        deliveries: Number(row.deliveries),
        deadAt: Number(row.dead_at),
      })),
    async replayDead(topic, id) {
      const position = atomically(() => {
        const row = sql.dead.get(topic, toRow(id));
        if (row === undefined) return undefined;
        sql.discard.run(topic, toRow(id));
        return Number(
          sql.append.run({ topic, target: row.grp as string, body: row.body as Uint8Array }).lastInsertRowid,
        );
      });
      wake();
      return position === undefined ? undefined : toPosition(position);
    },
    discardDead: async (topic, id) => step(() => sql.discard.run(topic, toRow(id)).changes) === 1,
    status: async (topic) =>
      step(() => ({
        length: Number(sql.count.get(topic)?.count),
        last: last(topic),
        groups: sql.groups.all(topic).map((row) => ({
          name: String(row.name),
          lag: Number(row.lag),
          pending: Number(row.pending),
        })),
        deadLetters: Number(sql.countDead.get(topic)?.count),
      })),
    async close() {
      wake();
    },
  };
}

function toPosition(row: number): Position {
  return row === 0 ? origin : `${row}-0`;
}

function toRow(position: Position): number {
  return Number(position.slice(0, position.indexOf("-")));
}

function toEntry({ position, previous, target, body }: MessageRow): LogEntry {
  return { position: toPosition(position), previous: toPosition(previous), target: target ?? undefined, body };
}
