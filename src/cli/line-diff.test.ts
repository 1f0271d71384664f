import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { diffLines } from "./line-diff.ts";

test("a diff shows what went and came, in the order of the text", () => {
  assert.deepEqual(diffLines("a\nb\nc", "a\nx\nc\nd"), ["  a", "- b", "+ x", "  c", "+ d"]);
  assert.deepEqual(diffLines("same", "same"), ["  same"]);
});

test("either text can be read from a diff", () => {
  const text = fc
    .array(fc.constantFrom("a", "b", "c", ""), { minLength: 1, maxLength: 12 })
    .map((lines) => lines.join("\n"));
  const side = (diff: string[], sign: string): string =>
    diff
      .filter((line) => line.startsWith(sign) || line.startsWith("  "))
      .map((line) => line.slice(2))
      .join("\n");
  fc.assert(
    fc.property(text, text, (before, after) => {
      const diff = diffLines(before, after);
      assert.equal(side(diff, "- "), before);
      assert.equal(side(diff, "+ "), after);
    }),
    { seed: 5 },
  );
});

test("very long texts are not aligned", () => {
  const long = "x\n".repeat(1_500);
  assert.equal(diffLines(long, long).length, 3_002);
});
