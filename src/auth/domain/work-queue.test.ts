import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ServiceError } from "../../shared/service-error.ts";
import { createWorkQueue } from "./work-queue.ts";

/** A task that ends when it is told to. */
function gate(): { task: () => Promise<string>; open: () => void; started: () => boolean } {
  const { promise, resolve } = Promise.withResolvers<string>();
  let started = false;
  return {
    task: () => {
      started = true;
      return promise;
    },
    open: () => resolve("done"),
    started: () => started,
  };
}

describe("a work queue", () => {
  it("runs so many at once and the rest in order", async () => {
    const queue = createWorkQueue({ concurrency: 2, maxQueued: 10, expectedMs: 10 });
    const gates = [gate(), gate(), gate(), gate()];
    const runs = gates.map(({ task }) => queue.run(task));
    assert.deepEqual([queue.running, queue.queued], [2, 2]);
    gates[1]!.open();
    await runs[1];
    assert.deepEqual(
      gates.map(({ started }) => started()),
      [true, true, true, false],
    );
    for (const { open } of gates) open();
    assert.deepEqual(await Promise.all(runs), ["done", "done", "done", "done"]);
    assert.deepEqual([queue.running, queue.queued], [0, 0]);
  });

  it("refuses what it has no room for, and says when to come back", async () => {
    const queue = createWorkQueue({ concurrency: 1, maxQueued: 1, expectedMs: 40 });
    const [first, second] = [gate(), gate()];
    queue.assertRoom();
    const runs = [queue.run(first.task), queue.run(second.task)];
    assert.throws(() => queue.assertRoom(), { reason: "SIGN_IN_OVERLOADED", retryAfterMs: 80 });
    await assert.rejects(queue.run(gate().task), (error: unknown) => {
      assert.ok(error instanceof ServiceError);
      assert.deepEqual(
        [error.code, error.reason, error.retryAfterMs],
        ["RESOURCE_EXHAUSTED", "SIGN_IN_OVERLOADED", 80],
      );
      return true;
    });
    first.open();
    second.open();
    await Promise.all(runs);
  });

  it("never starts work whose caller has left, and gives its place to the next", async () => {
    const queue = createWorkQueue({ concurrency: 1, maxQueued: 2, expectedMs: 10 });
    const [first, left, last] = [gate(), gate(), gate()];
    const caller = new AbortController();
    const running = queue.run(first.task);
    const leaving = queue.run(left.task, caller.signal);
    const waiting = queue.run(last.task);
    caller.abort();
    await assert.rejects(leaving, { code: "CANCELLED" });
    await assert.rejects(queue.run(left.task, caller.signal), { code: "CANCELLED" });
    first.open();
    last.open();
    await Promise.all([running, waiting]);
    assert.equal(left.started(), false);
  });

  it("frees the place of work that failed", async () => {
    const queue = createWorkQueue({ concurrency: 1, maxQueued: 0, expectedMs: 10 });
    await assert.rejects(
      queue.run(() => Promise.reject(new Error("no"))),
      /^Error: no$/,
    );
    assert.equal(await queue.run(async () => 1), 1);
  });
});
