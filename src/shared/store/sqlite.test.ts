import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, it } from "node:test";
import { ServiceError } from "../service-error.ts";
import { MigrationError, migrate } from "./migrations.ts";
import { guarded, openSqlite, SqliteOpenError, transaction } from "./sqlite.ts";

describe("a SQLite file", () => {
  let root: string;
  before(() => {
    root = mkdtempSync(join(tmpdir(), "gatehouse-sqlite-"));
  });
  after(() => rmSync(root, { recursive: true }));

  const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);

  it("is its owner's alone, with its log and its directory", () => {
    const directory = join(root, "new", "data");
    const database = openSqlite(join(directory, "a.db"));
    database.exec("CREATE TABLE t (a)");
    assert.equal(modeOf(directory), "700");
    const files = readdirSync(directory);
    assert.deepEqual(files.toSorted(), ["a.db", "a.db-shm", "a.db-wal"]);
    for (const file of files) assert.equal(modeOf(join(directory, file)), "600");
    database.close();
  });

  it("is closed to others when it was open to them", () => {
    const path = join(root, "open.db");
    writeFileSync(path, "");
    chmodSync(path, 0o644);
    openSqlite(path).close();
    assert.equal(modeOf(path), "600");
  });

  it("is named when it is not a database", () => {
    const path = join(root, "text.db");
    writeFileSync(path, "this is not a database, but a text of some length");
    assert.throws(
      () => openSqlite(path),
      (error: unknown) => {
        assert.ok(error instanceof SqliteOpenError);
        assert.match(error.message, /text\.db cannot be opened: .*not a database/);
        return true;
      },
    );
  });

  it("syncs each commit", () => {
    const database = openSqlite(join(root, "sync.db"));
    assert.equal(database.prepare("PRAGMA journal_mode").get()?.journal_mode, "wal");
    assert.equal(database.prepare("PRAGMA synchronous").get()?.synchronous, 2);
    database.close();
  });

  it("keeps nothing of a transaction that fails", () => {
    const database = openSqlite(join(root, "transaction.db"));
    database.exec("CREATE TABLE t (a)");
    const fail = (): void =>
      transaction(database, () => {
        database.exec("INSERT INTO t VALUES (1)");
        throw new Error("no");
      });
    assert.throws(fail, /^Error: no$/);
    assert.equal(database.prepare("SELECT count(*) AS n FROM t").get()?.n, 0);
    database.close();
  });

  it("is unavailable while another process holds it", () => {
    const path = join(root, "busy.db");
    const holder = openSqlite(path);
    const other = openSqlite(path);
    holder.exec("CREATE TABLE t (a)");
    other.exec("PRAGMA busy_timeout = 10");
    holder.exec("BEGIN IMMEDIATE");
    assert.throws(
      () => guarded(() => other.exec("INSERT INTO t VALUES (1)")),
      (error: unknown) =>
        error instanceof ServiceError &&
        error.code === "UNAVAILABLE" &&
        error.reason === "STORE_UNAVAILABLE" &&
        error.retryAfterMs !== undefined,
    );
    holder.close();
    other.close();
  });
});

describe("migrations", () => {
  const first = "CREATE TABLE t (a); INSERT INTO t VALUES (1)";
  const second = "ALTER TABLE t ADD COLUMN b DEFAULT 2";

  it("run once each, in order, by component", () => {
    const database = new DatabaseSync(":memory:");
    migrate(database, "x", [first]);
    migrate(database, "x", [first]);
    migrate(database, "y", ["CREATE TABLE u (a)"]);
    migrate(database, "x", [first, second]);
    assert.deepEqual({ ...database.prepare("SELECT * FROM t").get() }, { a: 1, b: 2 });
  });

  it("leave nothing behind when one fails", () => {
    const database = new DatabaseSync(":memory:");
    assert.throws(() => migrate(database, "x", [first, "NONSENSE"]), /syntax error/);
    assert.equal(database.prepare("SELECT name FROM sqlite_master WHERE name = 't'").get(), undefined);
    migrate(database, "x", [first]);
  });

  it("refuse a database of a newer program", () => {
    const database = new DatabaseSync(":memory:");
    migrate(database, "x", [first, second]);
    assert.throws(() => migrate(database, "x", [first]), MigrationError);
  });
});
