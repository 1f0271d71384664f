import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { loadOf, maglev, movedShare, ringHash } from "../scripts/scale/balance.ts";
import { simulateFanOut } from "../scripts/scale/fan-out.ts";

test("docs/scale.md quotes what the simulation answers", () => {
  const output = execFileSync(process.execPath, ["scripts/simulate-scale.ts"], { encoding: "utf8" });
  const page = readFileSync("docs/scale.md", "utf8");
  for (const table of output.trim().split("\n\n")) assert.ok(page.includes(table), table);
});

test("consistent hashing moves no key between replicas that stay", () => {
  const before = Array.from({ length: 50 }, (_, index) => index);
  const without = before.filter((replica) => replica !== 7);
  const [one, two] = [ringHash(before, 1_000, 5_000), ringHash(without, 980, 5_000)];
  for (let key = 0; key < one.length; key += 1) if (one[key] !== 7) assert.equal(two[key], one[key]);
  assert.equal(movedShare(one, two), one.filter((replica) => replica === 7).length / one.length);
  assert.equal(movedShare(one, one), 0);
  // Every place of Maglev's table belongs to someone, and each has about as many.
  const { max } = loadOf(maglev(before, 50_000), before);
  assert.ok(max > 1 && max < 1.2, `${max}`);
});

test("a fan-out reaches every replica, and takes Redis' time for each", () => {
  const cost = { readMicros: 20, messageMicros: 0, networkMs: 0.5, seconds: 5 };
  const alone = simulateFanOut({ ...cost, replicas: 100, rate: 1 });
  assert.equal(alone.batch, 1);
  // The last of a hundred waits for 2 ms of Redis' work, and for the network.
  assert.ok(alone.slowest >= 2 + 0.375 && alone.slowest <= 2 + 5, `${alone.slowest}`);
  assert.ok(simulateFanOut({ ...cost, seconds: 1, replicas: 1_000, rate: 100 }).batch > 1);
});
