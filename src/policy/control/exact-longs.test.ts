import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createCedarControl } from "./cedar-control.ts";
import { PolicySourceError } from "./diagnostics.ts";

const MAX = 2n ** 63n - 1n;
const MIN = -(2n ** 63n);

test("every Long survives parsing exactly, whatever others stand beside it", async () => {
  const control = createCedarControl();
  const long = fc.oneof(
    fc.bigInt({ min: MIN, max: MAX }),
    fc.constantFrom(MAX, MIN, MIN + 1n, 2n ** 53n, 2n ** 53n + 1n, -(2n ** 53n) - 1n, 2n ** 53n - 1n, 0n, 1n, 2n, 3n),
  );
  const sets = fc.sample(fc.array(long, { minLength: 1, maxLength: 6 }), { seed: 7, numRuns: 400 });
  const text = sets
    .map((longs) => `permit(principal, action, resource) when { [${longs.join(", ")}] == context.longs };`)
    .join("\n");
  const { policies } = await control.parsePolicies(text);
  await control.close();
  const read = policies.map(({ json }) => {
    const [clause] = json.conditions as unknown as [
      { body: { "==": { left: { Set: { Value: number | bigint }[] } } } },
    ];
    return clause.body["=="].left.Set.map(({ Value }) => BigInt(Value));
  });
  assert.deepEqual(read, sets);
});

test("a literal beyond 64 bits is refused at its place, a minus in front of -2^63 is not", async () => {
  const control = createCedarControl();
  const policy = (expression: string): string => `permit(principal, action, resource) when { ${expression} == 1 };`;
  await assert.rejects(control.parsePolicies(policy(`${MAX + 1n}`)), (error: PolicySourceError) => {
    assert.ok(error instanceof PolicySourceError);
    assert.equal(error.diagnostics[0]?.column, 44);
    return true;
  });
  const { policies } = await control.parsePolicies(policy(`- ${MAX + 1n}`));
  await control.close();
  assert.deepEqual(policies[0]!.json.conditions?.[0]?.body, { "==": { left: { Value: MIN }, right: { Value: 1 } } });
});

test("an attribute named __proto__ stays one beside a large Long", async () => {
  const control = createCedarControl();
  const { policies } = await control.parsePolicies(
    'permit(principal, action, resource) when { {"__proto__": 9007199254740993} == context };',
  );
  await control.close();
  const { left } = policies[0]!.json.conditions![0]!.body["=="] as { left: { Record: object } };
  assert.deepEqual(Object.entries(left.Record), [["__proto__", { Value: 9007199254740993n }]]);
});
