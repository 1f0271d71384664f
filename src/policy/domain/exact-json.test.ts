import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ExactJsonError, parseExactJson } from "./exact-json.ts";

test("what has neither fractions nor large integers parses as JSON.parse does", () => {
  const leaf = fc.oneof(fc.string({ unit: "grapheme" }), fc.maxSafeInteger(), fc.boolean(), fc.constant(null));
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof({ depthSize: "small" }, leaf, fc.array(tie("value")), fc.dictionary(fc.string(), tie("value"))),
  }));
  fc.assert(
    fc.property(value, fc.constantFrom(undefined, 1, "\t"), (json, indent) => {
      const text = JSON.stringify(json, undefined, indent);
      assert.deepEqual(parseExactJson(text), JSON.parse(text));
    }),
    { seed: 3 },
  );
});

test("any text either parses as JSON.parse has it or is refused with a place in it", () => {
  const char = fc.constantFrom(...'{}[],:"\\ \n0123.-eEtrufalsn\u0001u00d8é');
  fc.assert(
    fc.property(fc.string({ unit: char, maxLength: 12 }), (text) => {
      let parsed: unknown;
      try {
        parsed = parseExactJson(text);
      } catch (error) {
        assert.ok(error instanceof ExactJsonError);
        assert.ok(error.offset >= 0 && error.offset <= text.length);
        return;
      }
      const wanted = JSON.parse(text, (_key, value) => (value === 0 ? 0 : value)); // Cedar has no negative zero
      assert.deepEqual(parsed, wanted);
    }),
    { seed: 3, numRuns: 20_000 },
  );
});

test("integers are exact up to 64 bits and refused beyond", () => {
  const text = "[9007199254740991, 9007199254740992, 9007199254740993, -9223372036854775808, 9223372036854775807, -0]";
  const wanted = [
    9007199254740991,
    9007199254740992n,
    9007199254740993n,
    -9223372036854775808n,
    9223372036854775807n,
    0,
  ];
  assert.deepEqual(parseExactJson(text), wanted);
  assert.throws(() => parseExactJson("9223372036854775808"), /exceeds 64 bits/);
  assert.throws(() => parseExactJson(`-${"9".repeat(1_000_000)}`), /exceeds 64 bits/);
});

test("faults are named at their place", () => {
  const cases: [string, number, RegExp][] = [
    ['{"a": 1, "a": 2}', 9, /the key "a" occurs twice/],
    ["[1.5]", 1, /integers only/],
    ["[1e3]", 1, /integers only/],
    ['["\\ud800"]', 1, /lone surrogate/],
    ['["a\nb"]', 1, /control character/],
    ["[1 2]", 3, /expected "," or "\]", found "2"/],
    ["[1,]", 3, /expected a value, found "\]"/],
    ["{a: 1}", 1, /expected a key, found "a"/],
    ['{"a" 1}', 5, /expected ":", found "1"/],
    ['"open', 0, /does not end/],
    ["", 0, /expected a value, found the end/],
    ["1 true", 2, /expected the end, found "t"/],
    ["[".repeat(100_000), 129, /nested more than 128/],
  ];
  for (const [text, offset, message] of cases) {
    assert.throws(
      () => parseExactJson(text),
      (error: ExactJsonError) => {
        assert.match(error.message, message);
        assert.equal(error.offset, offset, text.slice(0, 40));
        return true;
      },
    );
  }
});

test("a key named __proto__ is a key", () => {
  const parsed = parseExactJson('{"__proto__": {"admin": true}}') as Record<string, unknown>;
  assert.deepEqual(Object.keys(parsed), ["__proto__"]);
  assert.equal(parsed.admin, undefined);
});

test("strings of many megabytes are read", () => {
  const long = "\\n".repeat(10_000_000);
  assert.equal(parseExactJson(`"${long}"`), "\n".repeat(10_000_000));
  assert.throws(() => parseExactJson(`"${long}`), /does not end/);
});
