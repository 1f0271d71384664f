import assert from "node:assert/strict";
import { test } from "node:test";
import type { ApiKey } from "./api-keys.ts";
import { isInScope, scopeOf } from "./scope.ts";

function keyWith(scopes: readonly string[]): { readonly apiKey: ApiKey } {
  const times = { createTime: 0, expireTime: undefined, lastUsedTime: undefined };
  return { apiKey: { id: "k", user: "alice", displayName: "", scopes, ...times } };
}

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
    assert.equal(isInScope(keyWith([`${action.type}${action.id}`, action.id, "undefined"]), action), false);
  }
});

test("a key with scopes is good for them and nothing else; one without, and any other credential, for everything", () => {
  const view = { type: "Action", id: "view" };
  assert.equal(isInScope(keyWith(["view"]), view), true);
  assert.equal(isInScope(keyWith(["View", "view2", "Shop::view", "*"]), view), false);
  for (const action of [view, { type: "Action", id: "a b" }]) {
    assert.equal(isInScope(keyWith([]), action), true);
    assert.equal(isInScope({}, action), true);
  }
});
