import assert from "node:assert/strict";
import { test } from "node:test";
import { RecentMax } from "./recent-max.ts";

test("the largest of lately is kept for one to two windows", () => {
  const max = new RecentMax(100);
  assert.equal(max.value, 0);
  max.record(5, 1_000);
  max.record(3, 1_010);
  assert.equal(max.value, 5);
  max.record(2, 1_150);
  assert.equal(max.value, 5);
  max.record(1, 1_290);
  assert.equal(max.value, 2);
  max.record(0, 9_000);
  assert.equal(max.value, 0);
});
