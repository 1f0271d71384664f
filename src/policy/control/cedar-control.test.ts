import assert from "node:assert/strict";
import { test } from "node:test";
import type { ExpressionJson, PolicyJson } from "../cedar/types.ts";
import { createCedarControl } from "./cedar-control.ts";
import { PolicySourceError } from "./diagnostics.ts";
import { CedarWasmError, createWasmClient } from "./wasm-client.ts";

const FINE = '@id("fine") permit(principal, action, resource);';
const policy = (expression: string): string => `permit(principal, action, resource) when { ${expression} };`;

/** Shapes that exhaust the official parser's stack when they are deep enough. */
const DEEP: { readonly [name: string]: (depth: number) => string } = {
  parentheses: (n) => `${"(".repeat(n)}true${")".repeat(n)}`,
  sets: (n) => `${"[".repeat(n)}1${"]".repeat(n)} == 1`,
  records: (n) => `${"{a:".repeat(n)}1${"}".repeat(n)} == 1`,
  "else-ifs": (n) => `${"if true then true else ".repeat(n)}true`,
  "if-ifs": (n) => `${"if ".repeat(n)}true${" then true else true".repeat(n)}`,
  sums: (n) => `${"1 + ".repeat(n)}1 == 1`,
  products: (n) => `${"1 * ".repeat(n)}1 == 1`,
  attributes: (n) => `principal${".a".repeat(n)} == 1`,
  indexes: (n) => `principal${'["a"]'.repeat(n)} == 1`,
  calls: (n) => `[1]${".contains(1)".repeat(n)}`,
  "call arguments": (n) => `${"[1].contains(".repeat(n)}1${")".repeat(n)}`,
  negations: (n) => `${"!(".repeat(n)}true${")".repeat(n)}`,
  extensions: (n) => `${"ip(".repeat(n)}"1"${")".repeat(n)}.isIpv4()`,
  conjunctions: (n) => `${"true && ".repeat(n)}true`,
  disjunctions: (n) => `${"true || ".repeat(n)}true`,
  "mixed nesting": (n) => `${"(1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + ".repeat(n)}1${")".repeat(n)} == 1`,
};

test("deep input of every shape is refused before it reaches the parser, or parsed; the thread survives", async () => {
  const control = createCedarControl();
  for (const [shape, build] of Object.entries(DEEP)) {
    for (const depth of [1, 10, 45, 60, 100, 150, 250, 400, 1_000, 4_000, 20_000]) {
      await control.parsePolicies(policy(build(depth))).catch((error: unknown) => {
        assert.ok(error instanceof PolicySourceError, `${shape} ${depth} deep: ${error}`);
        assert.ok(depth > 10, `${shape} only ${depth} deep is refused: ${error.message}`);
      });
    }
  }
  assert.equal((await control.parsePolicies(FINE)).policies.length, 1);
  await control.close();
});

/** A policy in JSON, `!` upon `!`. */
function nestedPolicy(depth: number): PolicyJson {
  let body: ExpressionJson = { Value: true };
  for (let level = 0; level < depth; level++) body = { "!": { arg: body } };
  const all = { op: "All" } as const;
  return { effect: "permit", principal: all, action: all, resource: all, conditions: [{ kind: "when", body }] };
}

test("thousands of inputs at fault leave the control plane alive", async () => {
  const control = createCedarControl();
  const schema = await control.parseSchema("entity User; action view appliesTo { principal: User, resource: User };");
  const hostile = (n: number): Promise<unknown>[] => [
    control.parsePolicies(policy(`"\ud800" == "${n}"`)),
    control.parsePolicies(policy("(".repeat(130 + n))),
    control.parsePolicies(`permit(principal ${n}`),
    control.parseSchema(`{"": ${"[".repeat(200 + n)}`),
    control.parseSchema(`entity User = { a: ${"Set<".repeat(n + 1)}Lng${">".repeat(n + 1)} };`),
    control.validate({ staticPolicies: { a: nestedPolicy(100 + n) } }, schema),
    control.validate({ staticPolicies: { a: { ...nestedPolicy(1), annotations: { why: "\ud800" } } } }, schema),
    control.format(`permit( ${n} \udfff`),
    // The validator answers with findings, and no exception.
    control.validate({ staticPolicies: { a: { effect: n } as never } }, schema).then((found) => {
      assert.ok(found.length > 0);
      throw new PolicySourceError(found);
    }),
  ];
  for (let n = 0; n < 600; n++) {
    for (const outcome of await Promise.allSettled(hostile(n))) {
      assert.equal(outcome.status, "rejected");
      if (outcome.status === "rejected") assert.ok(outcome.reason instanceof PolicySourceError, String(outcome.reason));
    }
  }
  assert.equal((await control.parsePolicies(FINE)).policies.length, 1);
  await control.close();
});

test("a call that throws costs its thread, and the calls behind it get a fresh one", async () => {
  const wasm = createWasmClient({ timeoutMs: 10_000 });
  const deep = policy(DEEP.parentheses!(1_000));
  for (let n = 0; n < 20; n++) {
    const [trapped, next] = await Promise.allSettled([
      wasm.call("policyToJson", [[deep]]),
      wasm.call("policyToJson", [[FINE]]),
    ]);
    assert.ok(trapped.status === "rejected" && trapped.reason instanceof CedarWasmError);
    assert.equal(trapped.reason.reason, "thrown");
    assert.ok(next.status === "fulfilled" && next.value[0]!.type === "success");
  }
  await wasm.close();
});

test("a call that takes too long is ended, and the calls behind it are answered", async () => {
  const wasm = createWasmClient({ timeoutMs: 700 });
  // Computing the ancestors of a chain of parents is cubic: seconds for 2,000.
  const chain = Array.from({ length: 2_000 }, (_, n) => ({
    uid: { type: "User", id: `${n}` },
    attrs: {},
    parents: [{ type: "User", id: `${n + 1}` }],
  }));
  const [slow, next] = await Promise.allSettled([
    wasm.call("checkParseEntities", [[{ entities: chain }]]),
    wasm.call("policyToJson", [[FINE]]),
  ]);
  assert.ok(slow.status === "rejected" && slow.reason instanceof CedarWasmError);
  assert.equal(slow.reason.reason, "timeout");
  assert.ok(next.status === "fulfilled");
  await wasm.close();
});

test("limits on bytes and on the number of policies hold", async () => {
  const control = createCedarControl({
    limits: { policyBytes: 2_000, policies: 3, statementBytes: 500, schemaBytes: 50 },
  });
  await control.parsePolicies(FINE);
  await assert.rejects(control.parsePolicies(" ".repeat(2_001)), /at most 2000 are read/);
  await assert.rejects(control.parsePolicies("permit(principal, action, resource);".repeat(4)), /at most 3 are read/);
  await assert.rejects(control.parsePolicies(policy(`"${"x".repeat(500)}" == ""`)), /at most 500 are read/);
  await assert.rejects(control.parseSchema(" ".repeat(51)), /at most 50 are read/);
  await control.close();
});

test("a closed control plane refuses calls", async () => {
  const control = createCedarControl();
  await control.close();
  await assert.rejects(control.parsePolicies(FINE), { name: "CedarWasmError", reason: "closed" });
});

test("formatting keeps comments and exact integers, and is stable", async () => {
  const control = createCedarControl();
  const formatted = await control.format(
    "// why\npermit(principal,action,resource) when {9007199254740993==1}; // end",
  );
  assert.match(formatted, /\/\/ why\npermit \(principal, action, resource\)\nwhen \{ 9007199254740993 == 1 \};/);
  assert.match(formatted, /\/\/ end/);
  assert.equal(await control.format(formatted), formatted);
  await control.close();
});
