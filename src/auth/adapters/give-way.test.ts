import assert from "node:assert/strict";
import { getPriority } from "node:os";
import { test } from "node:test";
import { makePoolGiveWay } from "./give-way.ts";

test("the threads of the pool give way to the event loop", async () => {
  const before = getPriority();
  const threads = await makePoolGiveWay();
  if (process.platform === "linux") assert.ok(threads >= 1, `${threads} threads`);
  assert.equal(getPriority(process.pid), before, "which keeps its own priority");
});
