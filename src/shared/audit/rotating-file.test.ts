import assert from "node:assert/strict";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { openRotatingFile } from "./rotating-file.ts";

describe("a rotating file", () => {
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "gatehouse-rotating-"));
    path = join(directory, "audit.jsonl");
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const content = (suffix = ""): string => readFileSync(`${path}${suffix}`, "utf8");

  it("is its owner's alone, also when it was not", async () => {
    writeFileSync(path, "old\n", { mode: 0o644 });
    const file = await openRotatingFile({ path, maxBytes: 10, count: 2 });
    await file.append(["0123456789\n"]);
    await file.close();
    assert.deepEqual([statSync(path).mode & 0o777, statSync(`${path}.1`).mode & 0o777], [0o600, 0o600]);
  });

  it("is set aside before it is too large, within a batch too, and the oldest goes", async () => {
    const file = await openRotatingFile({ path, maxBytes: 8, count: 3 });
    await file.append(["a1\n", "a2\n", "b1\n", "b2\n", "c1\n"]);
    assert.deepEqual([content(), content(".1"), content(".2")], ["c1\n", "b1\nb2\n", "a1\na2\n"]);
    await file.append(["c2\n", "d1\n", "longer than a file\n", "e\n"]);
    assert.deepEqual([content(), content(".1"), content(".2")], ["e\n", "longer than a file\n", "d1\n"]);
    assert.ok(!existsSync(`${path}.3`));
    await file.close();
  });

  it("keeps only itself when one file is all that is to be kept", async () => {
    const file = await openRotatingFile({ path, maxBytes: 3, count: 1 });
    await file.append(["a\n", "b\n"]);
    await file.close();
    assert.equal(content(), "b\n");
    assert.ok(!existsSync(`${path}.1`));
  });

  it("is one writer's at a time", async () => {
    const file = await openRotatingFile({ path, maxBytes: 100, count: 2 });
    await assert.rejects(openRotatingFile({ path, maxBytes: 100, count: 2 }), /another process writes it/);
    await file.close();
    await (await openRotatingFile({ path, maxBytes: 100, count: 2 })).close();
  });

  it("goes on after the last whole line, whatever a crash has left", async () => {
    const long = "x".repeat(200_000);
    for (const [left, kept] of [
      ["a\nb\n", "a\nb\n"],
      ["a\nb", "a\n"],
      ["torn", ""],
      [`a\n${long}`, "a\n"],
      ["", ""],
    ] as const) {
      rmSync(path, { force: true });
      appendFileSync(path, left);
      const file = await openRotatingFile({ path, maxBytes: 1_000_000, count: 2 });
      await file.append(["next\n"]);
      await file.close();
      assert.equal(content(), `${kept}next\n`);
    }
  });
});
