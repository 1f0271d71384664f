import assert from "node:assert/strict";
import { test } from "node:test";
import { policySetTextToParts } from "@cedar-policy/cedar-wasm/nodejs";
import fc from "fast-check";
import { hasSlot, splitStatements, tokenize } from "./lexer.ts";

const FRAGMENTS = [
  "permit(principal, action, resource);",
  'forbid(principal == User::"a;b", action, resource) when { context.s == "\\"; permit(" };',
  '@id("x;y") permit(principal, action, resource) unless { principal has "a//b" };',
  "permit(principal == ?principal, action, resource);",
  "// permit(principal, action, resource);\n",
  "// a carriage return ends a comment, too\r",
  '// one quote " opens no string\n',
  " ",
  "\n\t",
  "\u00a0",
];

test("a file splits into as many statements as the official parser finds policies", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...FRAGMENTS), { maxLength: 12 }), (parts) => {
      const text = parts.join("");
      const official = policySetTextToParts(text);
      assert.equal(official.type, "success");
      const statements = splitStatements(tokenize(text));
      if (official.type !== "success") return;
      assert.equal(statements.filter((statement) => !hasSlot(statement)).length, official.policies.length);
      assert.equal(statements.filter(hasSlot).length, official.policy_templates.length);
    }),
    { seed: 1, numRuns: 300 },
  );
});

test("tokens cover the text: what lies between them is whitespace and comments", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
      const tokens = tokenize(text);
      let end = 0;
      for (const token of tokens) {
        assert.match(text.slice(end, token.start), /^(\s|\/\/[^\n\r]*)*$/u);
        assert.equal(text.slice(token.start, token.end), token.text);
        end = token.end;
      }
      assert.match(text.slice(end), /^(\s|\/\/[^\n\r]*)*$/u);
    }),
    { seed: 1 },
  );
});

test("ten megabytes of an unclosed string or comment is lexed in linear time", () => {
  const long = "\\a".repeat(5_000_000);
  assert.equal(tokenize(`"${long}`).length, 1);
  assert.equal(tokenize(`//${long}`).length, 0);
  assert.equal(tokenize("/".repeat(1_000_001)).length, 0);
});
