import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { ServiceError } from "../service-error.ts";
import { openSqlite } from "../store/sqlite.ts";
import { createSpool, type Spool, type SpooledEvent } from "./spool.ts";

const event = (id: string, size = 10): SpooledEvent => ({ id, operation: "test", payload: Buffer.alloc(size) });

describe("the spool", () => {
  let directory: string;
  let now: number;
  const open = (maxBytes = 10_000_000): Spool =>
    createSpool({ database: openSqlite(join(directory, "audit.db")), maxBytes, now: () => now });
  const idsOf = (spool: Spool): string[] => spool.next(100).map(({ id }) => id);
  beforeEach(() => {
    now = 1_000_000;
    directory = mkdtempSync(join(tmpdir(), "gatehouse-spool-"));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it("gives out what was added, in order, until it is removed", () => {
    const spool = open();
    spool.add([event("a"), event("b")]);
    spool.add([event("c")]);
    assert.deepEqual(idsOf(spool), ["a", "b", "c"]);
    spool.remove(spool.next(2));
    assert.deepEqual([idsOf(spool), spool.size()], [["c"], 1]);
    spool.close();
  });

  it("holds an event back until it is released in its final form", () => {
    const spool = open();
    const row = spool.hold(event("a"));
    assert.deepEqual(idsOf(spool), []);
    assert.equal(spool.release(row, { ...event("a"), payload: Buffer.from("final") }), true);
    assert.deepEqual(
      spool.next(1).map(({ payload }) => Buffer.from(payload).toString()),
      ["final"],
    );
    spool.close();
  });

  it("leaves what it has to the next process, held events too", () => {
    const first = open();
    first.add([event("a")]);
    first.hold(event("b"));
    first.close();
    const second = open();
    assert.deepEqual(idsOf(second), ["a", "b"]);
    second.close();
  });

  it("takes over from a process that is gone, at once, and from one of another machine after a while", () => {
    const child = `
      import { openSqlite } from "./src/shared/store/sqlite.ts";
      import { createSpool } from "./src/shared/audit/spool.ts";
      const spool = createSpool({ database: openSqlite(process.argv[1]), maxBytes: 1e7, now: () => ${now} });
      spool.add([{ id: "orphan", operation: "test", payload: Buffer.alloc(1) }]);
      process.kill(process.pid, "SIGKILL");
    `;
    const args = ["--input-type=module-typescript", "--eval", child, join(directory, "audit.db")];
    assert.equal(spawnSync(process.execPath, args).signal, "SIGKILL");
    const spool = open();
    assert.deepEqual(idsOf(spool), ["orphan"]);

    const other = openSqlite(join(directory, "audit.db"));
    other.exec(`INSERT INTO spool_owner VALUES ('far', 'another-machine', 1, ${now});
      INSERT INTO spool (owner, held, id, operation, payload) VALUES ('far', 0, 'far-event', 'test', x'00')`);
    assert.equal(spool.tend(), 0);
    now += 40_000;
    assert.equal(spool.tend(), 1);
    assert.deepEqual(idsOf(spool), ["orphan", "far-event"]);
    other.close();
    spool.close();
  });

  it("says so when an event it held was published by somebody who took this process for dead", () => {
    const spool = open();
    const row = spool.hold(event("a"));
    const other = openSqlite(join(directory, "audit.db"));
    other.exec("UPDATE spool SET owner = 'other', held = 0");
    assert.equal(spool.release(row, event("a")), false);
    other.close();
    spool.close();
  });

  it("refuses what is beyond its size, and has room again after", () => {
    const spool = open(600_000);
    const unavailable = (error: unknown): boolean => error instanceof ServiceError && error.code === "UNAVAILABLE";
    assert.throws(() => {
      for (let n = 0; n < 100; n += 1) spool.add([event(`e${n}`, 20_000)]);
    }, unavailable);
    const kept = spool.next(100);
    assert.ok(kept.length >= 10 && kept.length < 31, `${kept.length} fitted`);
    assert.throws(() => spool.hold(event("held", 20_000)), unavailable);
    spool.remove(kept);
    spool.add([event("more", 20_000)]);
    assert.deepEqual(idsOf(spool), ["more"]);
    spool.close();
  });
});
