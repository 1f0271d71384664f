import assert from "node:assert/strict";
import { test } from "node:test";
import { attributesOf, expiryOf, listOf, versionOf } from "./option-values.ts";

const now = Date.UTC(2026, 0, 1);

test("an expiry is a length of time from now, or a point in time", () => {
  assert.equal(expiryOf({}, now), undefined);
  assert.equal(expiryOf({ expires: "90d" }, now), now + 90 * 86_400_000);
  assert.equal(expiryOf({ expires: "12h" }, now), now + 12 * 3_600_000);
  assert.equal(expiryOf({ expires: "30m" }, now), now + 30 * 60_000);
  assert.equal(expiryOf({ expires: "2027-01-31T12:00:00Z" }, now), Date.UTC(2027, 0, 31, 12));
  for (const expires of ["", "soon", "90", "-1d", "1w", "d", "9999999d"]) {
    assert.throws(() => expiryOf({ expires }, now), { name: "UsageError" }, expires);
  }
});

test("attributes are a JSON object", () => {
  assert.equal(attributesOf({}), undefined);
  assert.deepEqual(attributesOf({ attributes: '{"team":"docs"}' }), { team: "docs" });
  for (const attributes of ["", "docs", "[]", "null", "7", "{"]) {
    assert.throws(() => attributesOf({ attributes }), { name: "UsageError" }, attributes);
  }
});

test("a version is a number, and none is any", () => {
  assert.equal(versionOf({}), 0n);
  assert.equal(versionOf({ "expected-version": "1800000000001" }), 1_800_000_000_001n);
  for (const text of ["", "-1", "1.5", "one"]) {
    assert.throws(() => versionOf({ "expected-version": text }), { name: "UsageError" }, text);
  }
});

test("an option may be given more than once", () => {
  assert.deepEqual(listOf({ role: ["a", "b"] }, "role"), ["a", "b"]);
  assert.deepEqual(listOf({}, "role"), []);
});
