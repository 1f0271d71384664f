import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { runCommandLine } from "../command.ts";
import { COMMANDS } from "../commands.ts";

async function corpus(path: string, ...options: string[]): Promise<{ code: number; out: string[]; err: string[] }> {
  const out: string[] = [];
  const err: string[] = [];
  const argv = ["cedar", "corpus", path, ...options];
  const code = await runCommandLine(COMMANDS, argv, { out: (line) => out.push(line), err: (line) => err.push(line) });
  return { code, out, err };
}

const SCHEMA = `
entity Group;
entity User in [Group] { n?: Long, ip?: ipaddr, boss?: User };
action all;
action view in [all] appliesTo { principal: User, resource: User, context: { n?: Long, ip?: ipaddr } };
`;

const POLICIES = `
permit(principal in Group::"g", action in Action::"all", resource) when { context.ip.isLoopback() };
permit(principal, action, resource) when { principal.n == 9007199254740993 && context.n == -9223372036854775808 };
forbid(principal, action, resource) when { principal.boss.n > 1 };
`;

const ENTITIES = `[
  {"uid": {"type": "Group", "id": "g"}, "attrs": {}, "parents": []},
  {"uid": {"type": "User", "id": "a"}, "attrs": {"n": 9007199254740993}, "parents": [{"type": "Group", "id": "g"}]},
  {"uid": {"type": "User", "id": "b"}, "attrs": {"n": 1, "boss": {"type": "User", "id": "a"}}, "parents": []},
  {"uid": {"type": "Action", "id": "view"}, "attrs": {}, "parents": [{"type": "Action", "id": "all"}]}
]`;

function request(
  principal: string,
  context: string,
  wanted: string,
  reason: string[],
  errors: string[],
  more = "",
): string {
  return `{"description": "${principal}", "principal": {"type": "User", "id": "${principal}"}, "action": {"type": "Action", "id": "view"},
    "resource": {"type": "User", "id": "b"}, "context": ${context}, "decision": "${wanted}", "reason": ${JSON.stringify(reason)},
    "errors": ${JSON.stringify(errors)}${more}}`;
}

const PASSING = [
  request("a", '{"n": -9223372036854775808}', "allow", ["policy1"], ["policy0", "policy2"]),
  request("a", '{"n": -9223372036854775807, "ip": "127.0.0.1"}', "allow", ["policy0"], ["policy2"]),
  request(
    "a",
    '{"ip": "::1", "n": -9223372036854775808}',
    "allow",
    ["policy1", "policy0"],
    ["policy2"],
    ', "validateRequest": true',
  ),
  request("b", '{"ip": "::1"}', "deny", ["policy2"], []),
];

function caseText(requests: string[], { folder = "tests", shouldValidate = false, more = "" } = {}): string {
  return `{"policies": "${folder}/p.cedar", "entities": "${folder}/e.entities.json", "schema": "${folder}/s.cedarschema",
    "shouldValidate": ${shouldValidate}, "requests": [${requests.join(",")}]${more}}`;
}

async function makeCorpus(context: TestContext, cases: { readonly [name: string]: string }): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "gatehouse-corpus-"));
  context.after(() => rm(root, { recursive: true, force: true }));
  await mkdir(join(root, "tests", "deep"), { recursive: true });
  const files = {
    "tests/p.cedar": POLICIES,
    "tests/e.entities.json": ENTITIES,
    "tests/s.cedarschema": SCHEMA,
    ...cases,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(root, name), text);
  return root;
}

test("decisions, reasons and errors are compared as sets, Longs exactly, with action groups of the schema", async (context) => {
  const root = await makeCorpus(context, {
    "tests/one.json": caseText(PASSING),
    "tests/deep/two.json": caseText(PASSING.slice(0, 2)),
  });
  for (const path of [root, join(root, "tests"), join(root, "tests", "deep")]) {
    const { code, out, err } = await corpus(path);
    assert.equal(code, 0, err.join("\n"));
    assert.equal(out.at(-1), path.endsWith("deep") ? "2 passed, 0 failed" : "6 passed, 0 failed");
  }
});

test("an archive is read as the directory is", async (context) => {
  const long = `tests/deep/${"long-".repeat(30)}.json`;
  const root = await makeCorpus(context, { "tests/one.json": caseText(PASSING), [long]: caseText(PASSING) });
  for (const format of ["ustar", "gnu", "pax"]) {
    const archive = join(root, `${format}.tar.gz`);
    const names =
      format === "ustar"
        ? ["tests/one.json", "tests/p.cedar", "tests/e.entities.json", "tests/s.cedarschema"]
        : ["./tests"];
    await promisify(execFile)("tar", [`--format=${format}`, "-C", root, "-czf", archive, ...names]);
    const { code, out } = await corpus(archive);
    assert.equal(code, 0);
    assert.equal(out.at(-1), format === "ustar" ? "4 passed, 0 failed" : "8 passed, 0 failed");
  }
});

test("every kind of difference is a failure, told in detail", async (context) => {
  const bad = [
    request("a", '{"n": -9223372036854775808}', "deny", ["policy1"], ["policy0", "policy2"]),
    request("a", '{"n": -9223372036854775807, "ip": "127.0.0.1"}', "allow", ["policy1"], ["policy2"]),
    request("b", '{"ip": "::1"}', "deny", ["policy2"], ["policy0"]),
    request("b", '{"other": 1}', "deny", ["policy2"], ["policy0"]),
  ];
  const root = await makeCorpus(context, { "tests/bad.json": caseText([...bad, ...PASSING]) });
  const { code, out, err } = await corpus(root);
  assert.equal(code, 1);
  assert.equal(out.at(-1), "4 passed, 4 failed");
  assert.ok(err.includes("tests/bad.json: a: decision: wanted DENY, got ALLOW"));
  assert.ok(err.includes("tests/bad.json: a: reason: wanted policy1, got policy0"));
  assert.ok(err.includes("tests/bad.json: b: errors: wanted policy0, got none"));
  assert.ok(
    err.includes("tests/bad.json: b: the request is refused: context: context.other: the schema does not declare it"),
  );
  const json = JSON.parse((await corpus(root, "--json")).out.join("\n"));
  assert.deepEqual([json.cases, json.passed, json.failed, json.failures.length], [1, 4, 4, 4]);
});

test("validation is compared, with the finding that became a warning counted as one", async (context) => {
  const policy = (text: string, shouldValidate: boolean) => ({
    "tests/p.cedar": text,
    "tests/v.json": caseText([request("a", "{}", "deny", [], [])], { shouldValidate }),
  });
  const never = "permit(principal, action, resource) when { principal == resource && false };";
  const inapplicable = 'permit(principal == Group::"g", action == Action::"view", resource);';
  const mistyped = "permit(principal, action, resource) when { principal.oops == 1 };";
  for (const [text, shouldValidate, agrees] of [
    [never, true, true],
    [never, false, false],
    [inapplicable, false, true],
    [mistyped, false, true],
    [mistyped, true, false],
  ] as const) {
    const { code, err, out } = await corpus(await makeCorpus(context, policy(text, shouldValidate)));
    const validation = err.filter((line) => line.includes("validation: wanted"));
    assert.equal(validation.length, agrees ? 0 : 1, text);
    if (!text.includes("oops")) assert.equal(out.at(-1), agrees ? "1 passed, 0 failed" : "1 passed, 1 failed");
    assert.equal(code, agrees && !text.includes("oops") ? 0 : 1);
  }
});

test("policies in JSON, and the names of older files, are read", async (context) => {
  const json = JSON.stringify({
    staticPolicies: {
      policy0: {
        effect: "permit",
        principal: { op: "All" },
        action: { op: "All" },
        resource: { op: "All" },
        conditions: [],
      },
    },
    templates: {},
    templateLinks: [],
  });
  const wanted = request("a", "{}", "Allow", ["policy0"], []).replace('"reason"', '"reasons"');
  const text = caseText([wanted], { shouldValidate: true, more: ', "policyFormat": "json"' }).replace(
    '"requests"',
    '"queries"',
  );
  const { code, out, err } = await corpus(await makeCorpus(context, { "tests/p.cedar": json, "tests/old.json": text }));
  assert.equal(code, 0, err.join("\n"));
  assert.equal(out.at(-1), "1 passed, 0 failed");
});

test("a case that cannot be read fails with all its requests; a corpus without cases fails", async (context) => {
  const root = await makeCorpus(context, {
    "tests/lost.json": caseText(PASSING, { folder: "nowhere" }),
    "tests/outside.json": caseText(PASSING, { folder: "../../../../../etc" }),
    "tests/torn.json": '{"policies": "x", ',
    "tests/schema.json": '{"": {"entityTypes": {}, "actions": {}}}',
  });
  const { code, out, err } = await corpus(root);
  assert.equal(code, 1);
  assert.equal(out.at(-1), "0 passed, 9 failed");
  assert.ok(err.some((line) => line.includes("there is no file nowhere/p.cedar")));
  assert.ok(err.some((line) => line.startsWith("tests/torn.json: expected a key")));
  assert.equal((await corpus(await makeCorpus(context, {}))).code, 1);
  assert.match((await corpus("/nonexistent")).err.join(), /does not exist/);
  const notArchive = join(root, "tests", "p.cedar");
  assert.match((await corpus(notArchive)).err.join(), /is not a \.tar\.gz/);
});

/** A quarter of the official corpus, where it is at hand. */
const SAMPLE =
  process.env.CEDAR_CORPUS ?? fileURLToPath(new URL("../../../../shared/cedar-corpus/sample.tar.gz", import.meta.url));

if (existsSync(SAMPLE)) {
  test("the official corpus agrees in every request", async () => {
    const { code, out, err } = await corpus(SAMPLE);
    assert.equal(code, 0, err.join("\n"));
    assert.match(out.at(-1)!, /^\d+ passed, 0 failed$/);
    if (!process.env.CEDAR_CORPUS) assert.equal(out.at(-1), "15744 passed, 0 failed");
  });
}
