import assert from "node:assert/strict";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { runCommandLine } from "../command.ts";
import { COMMANDS } from "../commands.ts";

const DEMO = fileURLToPath(new URL("../../../policies/documents", import.meta.url));

async function gatehouse(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runCommandLine(COMMANDS, argv, { out: (line) => out.push(line), err: (line) => err.push(line) });
  return { code, out: out.join("\n"), err: err.join("\n") };
}

async function copyDemo(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "gatehouse-cli-"));
  context.after(() => rm(directory, { recursive: true, force: true }));
  await cp(DEMO, directory, { recursive: true });
  return directory;
}

async function edit(directory: string, name: string, change: (text: string) => string): Promise<void> {
  const path = join(directory, name);
  const text = await readFile(path, "utf8");
  const changed = change(text);
  assert.notEqual(changed, text);
  await writeFile(path, changed);
}

test("the demo policies are valid, formatted, and pass their tests", async () => {
  const valid = await gatehouse("policy", "validate", DEMO, "--deny-warnings");
  assert.equal(valid.code, 0, valid.err);
  assert.match(valid.out, /5 policies, 0 templates, 0 links, 12 entities: valid/);
  assert.deepEqual(await gatehouse("policy", "format", "--check", DEMO), { code: 0, out: "", err: "" });
  const tested = await gatehouse("policy", "test", DEMO);
  assert.equal(tested.code, 0, tested.out);
  assert.match(tested.out, /\d+ passed, 0 failed$/);
});

test("validate tells all findings with their places, as text and as JSON", async (context) => {
  const directory = await copyDemo(context);
  await edit(directory, "policies.cedar", (text) =>
    text.replace("resource.locked", "resource.loked").replace('Action::"unlock"', 'Action::"unlok"'),
  );
  const text = await gatehouse("policy", "validate", directory);
  assert.equal(text.code, 1);
  assert.match(
    text.err,
    /policies\.cedar:\d+:\d+: error \[locked-documents\]: attribute `loked` on entity type `Document` not found/,
  );
  assert.match(text.err, /\^{14}/);
  assert.match(text.err, /did you mean `locked`\?/);
  assert.match(text.err, /2 errors, 2 warnings$/);
  const json = await gatehouse("policy", "validate", directory, "--json");
  assert.equal(json.code, 1);
  const { valid, diagnostics } = JSON.parse(json.out);
  assert.equal(valid, false);
  assert.equal(diagnostics.length, 4);
});

test("validate tells what the evaluator would refuse, and warnings only on demand as errors", async (context) => {
  const directory = await copyDemo(context);
  await edit(directory, "entities.json", (text) => text.replace('"parents": []', '"parents": [], "attrs2": 1'));
  assert.match(
    (await gatehouse("policy", "validate", directory)).err,
    /entities\.json: error: Role::"admin": entity\.attrs2: no field/,
  );
  const other = await copyDemo(context);
  await edit(
    other,
    "policies.cedar",
    (text) => `${text}\n@id("never") permit (principal, action, resource) when { false };\n`,
  );
  const lenient = await gatehouse("policy", "validate", other);
  assert.equal(lenient.code, 0);
  assert.match(lenient.err, /warning \[never\]: policy is impossible/);
  assert.equal((await gatehouse("policy", "validate", other, "--deny-warnings")).code, 1);
  const twice = await copyDemo(context);
  await edit(twice, "entities.json", (text) => text.replace('"id": "viewer"', '"id": "editor"'));
  assert.match((await gatehouse("policy", "validate", twice)).err, /error: entity Role::"editor": /);
});

test("format rewrites what is not formatted, leaves meaning and other files, and can only check", async (context) => {
  const directory = await copyDemo(context);
  await writeFile(join(directory, "more.cedar"), "// why\npermit(principal,action,resource)when{1==9007199254740993};");
  const check = await gatehouse("policy", "format", "--check", directory);
  assert.deepEqual(check, { code: 1, out: `${join(directory, "more.cedar")} is not formatted`, err: "" });
  const format = await gatehouse("policy", "format", directory);
  assert.deepEqual(format, { code: 0, out: join(directory, "more.cedar"), err: "" });
  const formatted = await readFile(join(directory, "more.cedar"), "utf8");
  assert.equal(formatted, "// why\npermit (principal, action, resource)\nwhen { 1 == 9007199254740993 };\n");
  assert.equal((await gatehouse("policy", "format", "--check", directory)).code, 0);
  assert.ok(!(await readdir(directory)).some((name) => name.includes("formatting")));
  await writeFile(join(directory, "zz.cedar"), "permit(");
  await writeFile(join(directory, "more.cedar"), "permit(principal,action,resource);");
  assert.equal((await gatehouse("policy", "format", directory)).code, 1);
  assert.equal(await readFile(join(directory, "more.cedar"), "utf8"), "permit(principal,action,resource);");
});

test("a failing case is told with what was wanted and what came", async (context) => {
  const directory = await copyDemo(context);
  await edit(directory, "policies.cedar", (text) =>
    text.replace("when { resource.locked }", "when { !resource.locked }"),
  );
  const { code, out } = await gatehouse("policy", "test", directory, "--filter", "a lock overrides");
  assert.equal(code, 1);
  assert.deepEqual(out.split("\n").slice(1), [
    '    User::"alice" Action::"edit" Document::"constitution"',
    "    - decision: DENY",
    "    + decision: ALLOW",
    "    - determining: locked-documents",
    "    + determining: editors-edit",
    "      errors: none",
    "      indeterminate: false",
    "0 passed, 1 failed",
  ]);
  const json = JSON.parse((await gatehouse("policy", "test", directory, "--json")).out);
  assert.equal(json.failed, 5);
  assert.equal(json.cases.length, json.passed + json.failed);
});

const CASES = `
strictForbid: STRICT
tests:
  - description: a forbid that fails
    request: { principal: 'User::"alice"', action: 'Action::"edit"', resource: 'Document::"unknown"' }
    decision: DENY
    errors: [locked-documents]
    indeterminate: STRICT
  - description: a request that the schema refuses
    request:
      principal: { type: Document, id: handbook }
      action: Action::"edit"
      resource: Document::"handbook"
    refused: does not apply to a principal of type Document
  - description: an attribute that the schema does not have
    request: { principal: 'User::"alice"', action: 'Action::"edit"', resource: 'Document::"handbook"', context: { n: 9007199254740993 } }
    refused: context.n
`;

for (const strict of [true, false]) {
  test(`failing forbids and refused requests can be wanted, strictForbid: ${strict}`, async (context) => {
    const directory = await copyDemo(context);
    // By Cedar's own rule the forbid is skipped and the permit stands.
    const cases = CASES.replaceAll("STRICT", String(strict)).replace(
      "decision: DENY",
      strict ? "decision: DENY" : "decision: ALLOW",
    );
    await writeFile(join(directory, "tests", "documents.yaml"), cases);
    const { code, out } = await gatehouse("policy", "test", directory);
    assert.equal(code, 0, out);
    assert.match(out, /3 passed, 0 failed/);
  });
}

test("a request that is refused unasked fails its case", async (context) => {
  const directory = await copyDemo(context);
  const request = "{ principal: 'User::\"a\"', action: 'Action::\"fly\"', resource: 'Document::\"b\"' }";
  await writeFile(
    join(directory, "tests", "documents.yaml"),
    `tests: [{ description: d, request: ${request}, decision: DENY }]`,
  );
  const { code, out } = await gatehouse("policy", "test", directory);
  assert.equal(code, 1);
  assert.match(out, /\+ refused: unknown action Action::"fly"/);
});

test("faults of a test file are told at their place", async (context) => {
  const directory = await copyDemo(context);
  const file = join(directory, "tests", "documents.yaml");
  const refuse = async (text: string, message: RegExp): Promise<void> => {
    await writeFile(file, text);
    const { code, err } = await gatehouse("policy", "test", directory);
    assert.equal(code, 1);
    assert.match(err, message);
  };
  const request = "request: { principal: 'User::\"a\"', action: 'Action::\"view\"', resource: 'Document::\"b\"' }";
  await refuse("tests: [", /tests\/documents\.yaml:1:9: error/);
  await refuse("tests: []", /error: tests/);
  await refuse(`tests:\n  - description: x\n    ${request}\n    decision: Allow\n`, /:4:15: error: tests\.0\.decision/);
  await refuse(
    `tests:\n  - description: x\n    ${request}\n    decison: ALLOW\n`,
    /:4:14: error: tests\.0\.decison|tests\.0\.decison/,
  );
  await refuse(`tests:\n  - description: x\n    ${request}\n`, /:2:5: error: needs either decision or refused/);
  await refuse(
    "tests:\n  - description: x\n    decision: DENY\n    request: { principal: User, action: a, resource: b }\n",
    /tests\.0\.request\.principal: expected an entity/,
  );
  await writeFile(file, "tests: []".replace("[]", `[{ description: x, ${request}, decision: DENY }]`));
  assert.match(
    (await gatehouse("policy", "test", directory, "--filter", "nothing")).err,
    /there is no test case to run/,
  );
});

test("the schema for editors knows the fields that the parser knows", async (context) => {
  const schema = JSON.parse(await readFile(join(DEMO, "..", "policy-test.schema.json"), "utf8"));
  const directory = await copyDemo(context);
  const accepts = async (field: string, value: string, inRequest = false): Promise<boolean> => {
    const uids = `principal: 'User::"a"', action: 'Action::"view"', resource: 'Document::"b"'`;
    const fields = [
      ...(field === "description" ? [] : ["description: d"]),
      ...(field === "refused" || field === "decision" ? [] : ["decision: DENY"]),
      ...(inRequest ? [] : [`${field}: ${value}`]),
      `request: { ${uids}${inRequest ? `, ${field}: ${value}` : ""} }`,
    ];
    await writeFile(join(directory, "tests", "documents.yaml"), `tests: [{ ${fields.join(", ")} }]`);
    return !(await gatehouse("policy", "test", directory)).err.includes("error");
  };
  const samples: Record<string, string> = {
    description: "d",
    decision: "DENY",
    determining: "[]",
    errors: "[]",
    indeterminate: "false",
    refused: "x",
  };
  const fields = Object.keys(schema.$defs.case.properties).filter((field) => field !== "request");
  assert.deepEqual(fields.sort(), Object.keys(samples).sort());
  for (const field of fields) assert.ok(await accepts(field, samples[field]!), field);
  const inRequest: Record<string, string> = { context: "{}", entities: "[]" };
  const optional = Object.keys(schema.$defs.request.properties).filter(
    (field) => !schema.$defs.request.required.includes(field),
  );
  assert.deepEqual(optional.sort(), Object.keys(inRequest).sort());
  for (const field of optional) assert.ok(await accepts(field, inRequest[field]!, true), field);
  assert.ok(!(await accepts("unheard", "1")));
  assert.ok(!(await accepts("unheard", "1", true)));
});

test("diff compares by meaning, and exits as asked", async (context) => {
  const directory = await copyDemo(context);
  await edit(directory, "policies.cedar", (text) => text.replaceAll("\n  ", "\n      "));
  const same = await gatehouse("policy", "diff", DEMO, directory, "--exit-code");
  assert.deepEqual(same, { code: 0, out: "0 added, 0 removed, 0 changed", err: "" });
  await edit(directory, "policies.cedar", (text) =>
    text.replace('"owners-edit"', '"owners"').replace("{ resource.locked }", "{ !resource.locked }"),
  );
  await edit(directory, "schema.cedarschema", (text) => text.replace("owner?: User", "owner?: User, size?: Long"));
  const { code, out } = await gatehouse("policy", "diff", DEMO, directory);
  assert.equal(code, 0);
  const lines = out.split("\n");
  assert.deepEqual(
    lines.filter((line) => /^[-+~]/.test(line)),
    ["- owners-edit", "+ owners", "~ locked-documents", "~ the schema"],
  );
  assert.ok(lines.includes("    - when { resource.locked };") && lines.includes("    + when { !resource.locked };"));
  assert.equal((await gatehouse("policy", "diff", DEMO, directory, "--exit-code")).code, 1);
  const json = JSON.parse((await gatehouse("policy", "diff", DEMO, directory, "--json")).out);
  assert.deepEqual(json, {
    added: ["owners"],
    removed: ["owners-edit"],
    changed: ["locked-documents"],
    schemaChanged: true,
  });
});

test("a directory that does not exist is told", async () => {
  for (const name of ["validate", "format", "test"]) {
    const { code, err } = await gatehouse("policy", name, "/nonexistent");
    assert.equal(code, 1);
    assert.match(err, /cannot read the directory \/nonexistent: ENOENT/);
  }
});
