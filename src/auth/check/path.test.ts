import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type PathRules, pathSegments, queryOf } from "./path.ts";

const strict: PathRules = {
  encodedSlashes: "reject",
  doubleSlashes: "reject",
  trailingSlash: "strict",
  semicolons: "reject",
  ignoreCase: false,
};

test("a path is split into decoded segments", () => {
  assert.deepEqual(pathSegments("/", strict), []);
  assert.deepEqual(pathSegments("/docs/17?x=/../y", strict), ["docs", "17"]);
  assert.deepEqual(pathSegments("/docs/a%20b/%C3%A9t%C3%A9", strict), ["docs", "a b", "été"]);
  assert.deepEqual(pathSegments("/docs/...", strict), ["docs", "..."]);
  assert.deepEqual(pathSegments("/docs/a:b@c", strict), ["docs", "a:b@c"]);
  assert.deepEqual(pathSegments("/docs/", strict), ["docs", ""]);
  assert.deepEqual(pathSegments("/100%25", strict), ["100%"]);
});

const hostile = [
  "",
  "docs",
  "*",
  "http://docs/17",
  "?x",
  "/docs/../admin",
  "/docs/..",
  "/..",
  "/.",
  "/docs/./17",
  "/docs/%2e%2e/admin",
  "/docs/.%2E/admin",
  "/docs/%2e",
  "/docs/..%2fadmin",
  "/docs%2fadmin",
  "/docs%5cadmin",
  "/docs\\admin",
  "/docs/%252e%252e/admin",
  "/docs/%252fadmin",
  "/docs/%25%32%65",
  "/docs//admin",
  "//admin",
  "/docs//",
  "/docs/%",
  "/docs/%2",
  "/docs/%zz",
  "/docs/%u002e",
  "/docs/%00",
  "/docs/a%0d%0ab",
  "/docs/a%7f",
  "/docs/%c0%ae%c0%ae/admin",
  "/docs/%c0%af",
  "/docs/%ff",
  "/docs/%ed%a0%80",
  "/docs/%C2%85",
  "/docs/..;/admin",
  "/docs;v=1/17",
  "/docs%3b/17",
  "/docs/17#x",
  "/docs/ 17",
  "/docs/\u0000",
  "/docs/été",
  `/${"a".repeat(8_192)}`,
];

for (const target of hostile) {
  test(`${JSON.stringify(target.slice(0, 40))} is not acceptable`, () => {
    assert.equal(pathSegments(target, strict), undefined);
  });
}

test("kept encoded slashes stay a part of their segment, and hide no climb", () => {
  const rules: PathRules = { ...strict, encodedSlashes: "keep" };
  assert.deepEqual(pathSegments("/files/a%2fb%5Cc", rules), ["files", "a%2Fb%5Cc"]);
  for (const target of ["/files/..%2fadmin", "/files/a%2F..", "/files/%2e%2e%5cx", "/files/a%252fb"]) {
    assert.equal(pathSegments(target, rules), undefined, target);
  }
});

test("merged slashes read as one, and dots beside them stay out", () => {
  const rules: PathRules = { ...strict, doubleSlashes: "merge" };
  assert.deepEqual(pathSegments("//docs///17", rules), ["docs", "17"]);
  assert.deepEqual(pathSegments("//", rules), []);
  assert.equal(pathSegments("/docs//../admin", rules), undefined);
});

test("an ignored slash at the end is the same path", () => {
  assert.deepEqual(pathSegments("/docs/17/", { ...strict, trailingSlash: "ignore" }), ["docs", "17"]);
});

test("kept semicolons belong to their segment, but never make a climb", () => {
  assert.deepEqual(pathSegments("/docs;v=1", { ...strict, semicolons: "keep" }), ["docs;v=1"]);
});

test("whatever is accepted has no segment that climbs, and no slash in one", () => {
  const piece = fc.constantFrom("/", ".", "..", "%2e", "%2F", "%5c", "\\", "a", "%25", "2e", ";", "%", "%00", "é", " ");
  const rules = fc.record({
    encodedSlashes: fc.constantFrom("reject" as const, "keep" as const),
    doubleSlashes: fc.constantFrom("reject" as const, "merge" as const),
    trailingSlash: fc.constantFrom("strict" as const, "ignore" as const),
    semicolons: fc.constantFrom("reject" as const, "keep" as const),
    ignoreCase: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), rules, (pieces, chosen) => {
      for (const segment of pathSegments(`/${pieces.join("")}`, chosen) ?? []) {
        assert.ok(segment !== "." && segment !== ".." && !/[/\\]/.test(segment), segment);
        assert.ok(!/(?:^|%2F|%5C)\.\.?(?:%2F|%5C|;|$)/.test(segment), segment);
      }
    }),
    { numRuns: 5_000 },
  );
});

test("the query is what follows the first question mark", () => {
  assert.equal(queryOf("/docs?a=1?b=2"), "a=1?b=2");
  assert.equal(queryOf("/docs"), "");
});
