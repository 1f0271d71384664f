import { chmodSync, closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ServiceError } from "../service-error.ts";

/** The database file cannot be opened; the message names it and says why. */
export class SqliteOpenError extends Error {
  override readonly name = "SqliteOpenError";
}

/** Time to wait for another process's write, in milliseconds. Writes take well under one. */
const busyTimeoutMs = 2_000;

/**
 * Opens a SQLite file, and creates it (mode 0600) and its directory (0700) when missing: WAL mode, shared by local processes.
 *
 * `synchronous = FULL` syncs the log at each commit. NORMAL would survive `kill -9` as well, but a power cut could undo
 * the last commits, and with them a revocation that was acknowledged.
 *
 * @throws SqliteOpenError
 */
export function openSqlite(path: string): DatabaseSync {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    // The log and its index take the mode of the database file.
    closeSync(openSync(path, "a", 0o600));
    chmodSync(path, 0o600);
    const database = new DatabaseSync(path, { timeout: busyTimeoutMs });
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;");
    return database;
  } catch (error) {
    throw new SqliteOpenError(`${path} cannot be opened: ${(error as Error).message}`, { cause: error });
  }
}

/** Runs `work` in one transaction that no other writer can come between. */
export function transaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

/** Primary result codes that say the file cannot serve now: BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN. */
const unavailableCodes: ReadonlySet<number> = new Set([5, 6, 8, 10, 13, 14]);

/**
 * Runs `work` on the database.
 *
 * @throws ServiceError UNAVAILABLE (reason STORE_UNAVAILABLE) when the file or its disk fails; any other error as it is.
 */
export function guarded<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw isUnavailable(error) ? unavailable(error) : error;
  }
}

function isUnavailable(error: unknown): boolean {
  const code = (error as { errcode?: unknown } | undefined)?.errcode;
  return typeof code === "number" && unavailableCodes.has(code & 0xff);
}

function unavailable(cause: unknown): ServiceError {
  return new ServiceError("UNAVAILABLE", "The store cannot be used right now.", {
    reason: "STORE_UNAVAILABLE",
    retryAfterMs: 1_000,
    cause,
  });
}
