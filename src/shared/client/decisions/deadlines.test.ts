import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Bucket, Deadlines, type Expiring } from "./deadlines.ts";

class Thing implements Expiring {
  bucket: Bucket | undefined;
  bucketIndex = 0;
  readonly deadline: number;
  readonly endedAt: number[] = [];

  constructor(deadline: number) {
    this.deadline = deadline;
  }

  expire(): void {
    this.endedAt.push(Date.now());
  }
}

test("each thing ends once, not before its deadline, in their order; one that was removed does not", async () => {
  const deadlines = new Deadlines();
  const now = Date.now();
  const things = Array.from({ length: 2_000 }, (_, n) => new Thing(now + ((n * 7_919) % 150)));
  for (const thing of things) deadlines.add(thing);
  const removed = things.filter((_, n) => n % 3 === 0);
  for (const thing of removed) deadlines.remove(thing);
  const kept = things.filter((_, n) => n % 3 !== 0);
  for (const end = Date.now() + 5_000; kept.some(({ endedAt }) => endedAt.length === 0); await sleep(5)) {
    assert.ok(Date.now() < end, "some never ended");
  }
  kept.sort((a, b) => a.deadline - b.deadline);
  let last = 0;
  for (const { deadline, endedAt } of kept) {
    const [at = 0] = endedAt;
    assert.equal(endedAt.length, 1);
    assert.ok(at >= deadline && at >= last);
    last = at;
  }
  for (const { endedAt } of removed) assert.equal(endedAt.length, 0);
});

test("a thing that ends may add another", async () => {
  const deadlines = new Deadlines();
  await new Promise<void>((resolve) => {
    const second = new Thing(Date.now() - 1);
    second.expire = resolve;
    const first = new Thing(Date.now() + 5);
    first.expire = () => deadlines.add(second);
    deadlines.add(first);
  });
});
