import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";

/** What a client says when a server gave no reason. */
const internal = new Set(["UNSPECIFIED"]);

test("docs/errors.md lists every reason that the code gives, and no other", () => {
  const given = new Set<string>();
  for (const path of globSync("src/**/*.ts")) {
    if (path.includes(".test.") || path.includes("/testing/")) continue;
    const source = readFileSync(path, "utf8");
    for (const [, reason = ""] of source.matchAll(/(?:reason: |Reason = )"([A-Z][A-Z_]+)"/g)) given.add(reason);
  }
  const listed = new Set(
    [...readFileSync("docs/errors.md", "utf8").matchAll(/^\| `([A-Z_]+)`/gm)].map(([, name]) => name),
  );
  assert.deepEqual([...listed].sort(), [...given].filter((reason) => !internal.has(reason)).sort());
});
