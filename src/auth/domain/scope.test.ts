import assert from "node:assert/strict";
import { test } from "node:test";
import { holdsAction, scopeOf } from "./scope.ts";

test("a scope names one action, with its namespace", () => {
  assert.equal(scopeOf({ type: "Action", id: "view" }), "view");
  assert.equal(scopeOf({ type: "Shop::Action", id: "view" }), "Shop::view");
  assert.equal(scopeOf({ type: "Big::Shop::Action", id: "orders:read" }), "Big::Shop::orders:read");
});

test("no scope holds an action that cannot be told from another", () => {
  for (const action of [
    { type: "Action", id: "Shop::view" },
    { type: "Shop::Action", id: "" },
    { type: "Action", id: "a b" },
    { type: "Action", id: 'a"' },
    { type: "Action", id: "é" },
    { type: "Reaction", id: "view" },
    { type: "Shop::Thing", id: "view" },
    { type: "", id: "view" },
  ]) {
    assert.equal(scopeOf(action), undefined, JSON.stringify(action));
    assert.equal(holdsAction([`${action.type}${action.id}`, action.id, "undefined"], action), false);
  }
});

test("scopes hold what they name and nothing else; without any limit, everything", () => {
  const view = { type: "Action", id: "view" };
  assert.equal(holdsAction(["view"], view), true);
  assert.equal(holdsAction(["View", "view2", "Shop::view", "*"], view), false);
  assert.equal(holdsAction([], view), false);
  assert.equal(holdsAction(undefined, view), true);
  assert.equal(holdsAction(undefined, { type: "Action", id: "a b" }), true);
});
