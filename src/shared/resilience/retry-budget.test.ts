import assert from "node:assert/strict";
import { test } from "node:test";
import { RetryBudget } from "./retry-budget.ts";

function withdrawAll(budget: RetryBudget): number {
  let taken = 0;
  while (budget.withdraw()) taken += 1;
  return taken;
}

test("allows what was saved up, then a share of the calls", () => {
  const budget = new RetryBudget(0.25, 10);
  assert.equal(withdrawAll(budget), 10);
  budget.deposit(8);
  assert.equal(withdrawAll(budget), 2);
  for (let calls = 0; calls < 3; calls += 1) budget.deposit();
  assert.equal(budget.withdraw(), false);
  budget.deposit();
  assert.equal(budget.withdraw(), true);
});

test("saves up no more than its capacity", () => {
  const budget = new RetryBudget(0.5, 10);
  budget.deposit(1_000);
  assert.equal(withdrawAll(budget), 10);
});
