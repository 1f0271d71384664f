import type { JsonValue, MessageInitShape } from "@bufbuild/protobuf";
import type { PolicyBundleSchema } from "../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import type { EvaluateRequestSchema } from "../../gen/gatehouse/policy/v1/policy_service_pb.ts";

export type Request = MessageInitShape<typeof EvaluateRequestSchema>;
export type Bundle = MessageInitShape<typeof PolicyBundleSchema>;

/** Random numbers from 0 up to 1, the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Random = () => number;
const between = (random: Random, from: number, to: number): number => from + Math.floor(random() * (to - from + 1));
const oneOf = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;

function nested(depth: number, inner: JsonValue, wrap: (value: JsonValue) => JsonValue): JsonValue {
  let value = inner;
  for (let level = 0; level < depth; level += 1) value = wrap(value);
  return value;
}

const inList = (value: JsonValue): JsonValue => [value];
const inRecord = (value: JsonValue): JsonValue => ({ a: value });
const uid = (type: string, id: string) => ({ type, id });
const plain = { principal: uid("User", "ann"), action: uid("Action", "view"), resource: uid("Document", "d") };

/** Requests that a server must refuse, or decide correctly, each made anew. Answers DENY where one is decided. */
export const requestMakers: Readonly<Record<string, (random: Random) => Request>> = {
  "deep context": (random) => ({
    ...plain,
    context: { x: nested(between(random, 30, 45), 1, oneOf(random, [inList, inRecord])) },
  }),
  "deep entity": (random) => ({
    ...plain,
    entities: [
      { uid: uid("User", "ann"), attrs: { x: nested(between(random, 30, 45), 1, oneOf(random, [inList, inRecord])) } },
    ],
  }),
  "a cycle of entities": (random) => {
    const length = between(random, 1, 60);
    return {
      ...plain,
      entities: Array.from({ length }, (_, n) => ({
        uid: uid("User", `u${n}`),
        parents: [uid("User", `u${(n + 1) % length}`)],
      })),
    };
  },
  "a long chain of entities": (random) => ({
    ...plain,
    entities: Array.from({ length: between(random, 100, 300) }, (_, n) => ({
      uid: uid("User", n === 0 ? "ann" : `u${n}`),
      parents: [uid("User", `u${n + 1}`)],
    })),
  }),
  "many parents": (random) => ({
    ...plain,
    entities: [
      {
        uid: uid("User", "ann"),
        parents: Array.from({ length: between(random, 900, 1_100) }, (_, n) => uid("Role", `r${n}`)),
      },
    ],
  }),
  "a huge set": (random) => ({
    ...plain,
    context: { x: Array.from({ length: between(random, 9_000, 11_000) }, (_, n) => n) },
  }),
  "many attributes": (random) => ({
    ...plain,
    context: Object.fromEntries(Array.from({ length: between(random, 900, 1_200) }, (_, n) => [`a${n}`, n])),
  }),
  "names of prototypes": (random) => {
    const name = oneOf(random, ["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf"]);
    return { ...plain, context: JSON.parse(`{"${name}": {"polluted": true}, "x": 1}`), action: uid("Action", name) };
  },
  "escapes that are none": (random) => ({
    ...plain,
    context: {
      x: oneOf<JsonValue>(random, [
        { __entity: 1 },
        { __entity: { type: "User" } },
        { __entity: { type: "not a type", id: "" } },
        { __extn: { fn: "ip", arg: "999.0.0.1" } },
        { __extn: { fn: "system", arg: "rm" } },
        { __extn: { fn: "decimal", arg: "1e9999" } },
        { __extn: "x" },
        { __expr: "1 + 1" },
      ]),
    },
  }),
  "numbers that are no Longs": (random) => ({
    ...plain,
    context: { x: oneOf(random, [0.5, 1e308, -1e308, 2 ** 63, 2 ** 53, -(2 ** 63) - 4_096, 1e-300]) },
  }),
  "malformed names": (random) => ({
    ...plain,
    principal: uid(oneOf(random, ["", "User::", "::User", "a b", "if", "User\u0000", "x".repeat(300), "é"]), "x"),
  }),
  "long ids": (random) => ({ ...plain, resource: uid("Document", "x".repeat(between(random, 1_000, 20_000))) }),
  "an id of a megabyte": () => ({ ...plain, resource: uid("Document", "x".repeat(1_000_000)) }),
  "text that like must not stumble over": (random) => ({
    ...plain,
    context: { text: "a".repeat(between(random, 1_000, 12_000)) },
  }),
  "revisions that are none": (random) => ({
    ...plain,
    revision: oneOf(random, ["1-", "x", "99-0123456789ab", "-1", "__proto__"]),
  }),
};

/** A policy whose `like` has 10,000 wildcards: valid, and never satisfied by `a`s alone. */
export const manyWildcards: string = `@id("wildcards") permit (principal, action == Action::"view", resource)
when { context has text && context.text like "${"*a".repeat(10_000)}*b" };`;

/** Policy sets that must be found wrong. */
export const bundleMakers: Readonly<Record<string, (random: Random) => Bundle>> = {
  "deep parentheses": (random) =>
    policy(`permit (principal, action, resource) when { ${wrapText(random, "(", "true", ")")} };`),
  "deep negation": (random) =>
    policy(`permit (principal, action, resource) when { ${"!".repeat(between(random, 200, 20_000))}true };`),
  "deep sets": (random) =>
    policy(`permit (principal, action, resource) when { ${wrapText(random, "[", "1", "]")} == 1 };`),
  "deep records": (random) =>
    policy(`permit (principal, action, resource) when { ${wrapText(random, "{a: ", "1", "}")} == 1 };`),
  "deep conditions": (random) =>
    policy(`permit (principal, action, resource) when { ${"if true then ".repeat(between(random, 300, 5_000))}true };`),
  "a long sum": (random) =>
    policy(`permit (principal, action, resource) when { ${"1+".repeat(between(random, 5_000, 30_000))} };`),
  "an open string": (random) =>
    policy(`permit (principal, action, resource) when { "${"x".repeat(between(random, 0, 50_000))}`),
  "control characters": (random) =>
    policy(`permit (principal, action, resource)${String.fromCharCode(between(random, 0, 8))};`),
  "unknown escapes": () => policy('permit (principal, action, resource) when { "\\u{110000}" == "" };'),
  "a number too large": () => policy("permit (principal, action, resource) when { 9223372036854775808 > 0 };"),
  "ids taken twice": () =>
    policy('@id("a") permit (principal, action, resource); @id("a") permit (principal, action, resource);'),
  "a bad schema": (random) => ({
    files: [{ name: "a.cedar", text: "permit (principal, action, resource);" }],
    schema: oneOf(random, [
      "entity",
      "type A = A;",
      "{",
      '{"": {"entityTypes": 1}}',
      "entity A in [B];",
      "[".repeat(20_000),
    ]),
  }),
  "a type that names itself": () => ({
    files: [{ name: "a.cedar", text: "permit (principal, action, resource);" }],
    schema: "type A = B; type B = A; entity C { a: A };",
  }),
  "bad links": (random) => ({
    files: [{ name: "a.cedar", text: '@id("t") permit (principal == ?principal, action, resource);' }],
    links: oneOf(random, [
      "{}",
      "[{}]",
      "[".repeat(50_000),
      '[{"templateId":"x","newId":"y","values":{}}]',
      "null",
      '"\\ud800"',
    ]),
  }),
  "damaged text": (random) => {
    const text = manyWildcards.slice(0, 400);
    const at = between(random, 10, 120);
    return policy(
      `${text.slice(0, at)}${oneOf(random, [";", "}", "(", "\\", '"', "@", "\u{1F600}"])}${text.slice(at)}`,
    );
  },
};

function policy(text: string): Bundle {
  return { files: [{ name: "hostile.cedar", text }] };
}

function wrapText(random: Random, open: string, inner: string, close: string): string {
  const depth = between(random, 200, 10_000);
  return `${open.repeat(depth)}${inner}${close.repeat(depth)}`;
}
