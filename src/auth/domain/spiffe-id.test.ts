import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSpiffeId } from "./spiffe-id.ts";

test("SPIFFE ids are read", () => {
  const id = parseSpiffeId("spiffe://cluster.local/ns/default/sa/web");
  assert.deepEqual(id, { trustDomain: "cluster.local", path: "/ns/default/sa/web" });
});

for (const text of [
  "",
  "spiffe://cluster.local",
  "spiffe://cluster.local/",
  "spiffe:///ns/a",
  "SPIFFE://cluster.local/ns/a",
  "spiffe://Cluster.local/ns/a",
  "spiffe://cluster.local:80/ns/a",
  "spiffe://user@cluster.local/ns/a",
  "spiffe://cluster.local/ns//a",
  "spiffe://cluster.local/ns/a/",
  "spiffe://cluster.local/ns/../a",
  "spiffe://cluster.local/./a",
  "spiffe://cluster.local/ns/a%2fb",
  "spiffe://cluster.local/ns/a?b",
  "spiffe://cluster.local/ns/a\n",
  `spiffe://cluster.local/${"a".repeat(2_048)}`,
]) {
  test(`${JSON.stringify(text.slice(0, 60))} is no SPIFFE id of a workload`, () => {
    assert.equal(parseSpiffeId(text), undefined);
  });
}
