import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { after, test } from "node:test";
import { createCedarControl } from "./cedar-control.ts";
import { diagnosticAt, PolicySourceError, renderDiagnostics, SourceText } from "./diagnostics.ts";

const SCHEMA = `
entity User in [Role] { age?: Long };
entity Role;
action view appliesTo { principal: User, resource: User, context: { mfa?: Bool } };
`;

const control = createCedarControl();
after(() => control.close());

/** Compares with a committed file; `UPDATE_GOLDEN=1` writes it instead. */
function assertGolden(name: string, actual: string): void {
  const path = new URL(`./testdata/${name}`, import.meta.url);
  if (process.env.UPDATE_GOLDEN) writeFileSync(path, actual);
  assert.equal(actual, readFileSync(path, "utf8"));
}

function readSource(name: string): { name: string; text: string } {
  return { name, text: readFileSync(new URL(`./testdata/${name}`, import.meta.url), "utf8") };
}

test("syntax errors of all policies are reported at once, sorted and underlined", async () => {
  await assert.rejects(control.parsePolicies([readSource("broken.cedar")]), (error: PolicySourceError) => {
    assert.ok(error instanceof PolicySourceError);
    assertGolden("broken.diagnostics.txt", `${error.message}\n`);
    return true;
  });
});

test("validation findings carry the policy's id and place, and the validator's help", async () => {
  const values = { "?principal": { type: "Foo", id: "x" } };
  const policies = await control.parsePolicies([readSource("ill-typed.cedar")], {
    links: [{ templateId: "owner", newId: "owner-foo", values }],
  });
  const found = await control.validate(policies, await control.parseSchema(SCHEMA));
  assertGolden("ill-typed.diagnostics.txt", `${renderDiagnostics(found)}\n`);
});

test("a policy set without sources is validated, without places", async () => {
  const { policySet } = await control.parsePolicies(
    '@id("a") permit(principal, action, resource) when { context.x == 9007199254740993 };',
  );
  const found = await control.validate(policySet, await control.parseSchema(SCHEMA));
  const [first] = found.filter(({ severity }) => severity === "error");
  assert.equal(first?.policyId, "a");
  assert.match(first?.message ?? "", /attribute `x`/);
  assert.equal(first?.line, undefined);
});

test("ids of any kind pass through validation unchanged", async () => {
  for (const id of ["__proto__", "constructor", "a`b", "p0", " "]) {
    const text = `@id(${JSON.stringify(id)}) permit(principal == Usr::"a", action, resource);`;
    const policies = await control.parsePolicies(text);
    assert.deepEqual(Object.keys(policies.policySet.staticPolicies), [id]);
    const found = await control.validate(policies, await control.parseSchema(SCHEMA));
    assert.deepEqual(new Set(found.map(({ policyId }) => policyId)), new Set([id]));
  }
});

test("columns count code points, tabs stay tabs below a line, and long lines are cut around the place", () => {
  const emoji = new SourceText("a", 'x\n\t"𝒳" oops');
  const found = diagnosticAt({ source: emoji, start: 8, end: 12 }, { severity: "error", message: "no" });
  assert.deepEqual([found.line, found.column], [2, 6]);
  assert.equal(found.excerpt, '2 | \t"𝒳" oops\n  | \t    ^^^^');
  const long = new SourceText("b", `${"a".repeat(5_000)}!${"b".repeat(5_000)}`);
  const { excerpt } = diagnosticAt({ source: long, start: 5_000, end: 9_000 }, { severity: "error", message: "no" });
  const [line, carets] = excerpt!.split("\n");
  assert.equal(line!.length, 164);
  assert.equal(line!.indexOf("!"), carets!.indexOf("^"));
});

test("schema errors have a place", async () => {
  await assert.rejects(control.parseSchema("entity User in [Rle];"), (error: PolicySourceError) => {
    assert.equal(error.message.split("\n")[0], "schema.cedarschema:1:17: error: failed to resolve type: Rle");
    return true;
  });
  await assert.rejects(control.parseSchema('{"": {"entityTypes": {}}}'), /missing field `actions`/);
  await assert.rejects(control.parseSchema('{"":\n oops}'), (error: PolicySourceError) => {
    assert.deepEqual([error.diagnostics[0]?.line, error.diagnostics[0]?.column], [2, 2]);
    return true;
  });
});

test("links are checked: the template exists, the slots fit, the id is free", async () => {
  const text =
    '@id("t") permit(principal == ?principal, action, resource); @id("p") permit(principal, action, resource);';
  const uid = { type: "User", id: "a" };
  const link = (templateId: string, newId: string, slots: string[]) => ({
    templateId,
    newId,
    values: Object.fromEntries(slots.map((slot) => [slot, uid])),
  });
  const parse = (...links: ReturnType<typeof link>[]) => control.parsePolicies(text, { links });
  await parse(link("t", "a", ["?principal"]), link("t", "b", ["?principal"]));
  await assert.rejects(parse(link("x", "a", ["?principal"])), /template "x", which does not exist/);
  await assert.rejects(parse(link("p", "a", ["?principal"])), /template "p", which does not exist/);
  await assert.rejects(parse(link("t", "a", ["?resource"])), /has the slots \?principal; the link fills \?resource/);
  await assert.rejects(parse(link("t", "p", ["?principal"])), /the id "p" of a template link is taken/);
  await assert.rejects(parse(link("t", "a", ["?principal"]), link("t", "a", ["?principal"])), /is taken/);
});
