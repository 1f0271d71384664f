import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createCedarControl } from "../control/cedar-control.ts";
import { PolicySourceError } from "../control/diagnostics.ts";
import { loadPolicyDirectory, type PolicyDirectory } from "./policy-directory.ts";
import { DEFAULT_FILE_LIMITS } from "./policy-files.ts";
import { watchPolicyDirectory } from "./policy-watcher.ts";

const DEMO = fileURLToPath(new URL("../../../policies/documents", import.meta.url));

const control = createCedarControl();
after(() => control.close());

async function makeDirectory(context: TestContext, files: { readonly [name: string]: string } = {}): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "gatehouse-policies-"));
  context.after(() => rm(directory, { recursive: true, force: true }));
  await writeFiles(directory, files);
  return directory;
}

async function writeFiles(directory: string, files: { readonly [name: string]: string }): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(directory, name, ".."), { recursive: true });
    await writeFile(join(directory, name), text);
  }
}

const permit = (id: string): string => `@id("${id}") permit(principal, action, resource);`;

test("the demo policies load without a warning", async () => {
  const loaded = await loadPolicyDirectory(DEMO, control);
  assert.ok(Object.keys(loaded.policySet.staticPolicies).includes("editors-edit"));
  assert.deepEqual(loaded.warnings, []);
  const diary = loaded.entities.find(({ uid }) => uid.id === "diary");
  assert.deepEqual(diary?.attrs.owner, { __entity: { type: "User", id: "bob" } });
  assert.ok(loaded.entities.some(({ uid }) => uid.type === "Action" && uid.id === "edit"));
});

test("policies come in order of file names, without @id named by file and number; entities and links are read", async (context) => {
  const directory = await makeDirectory(context, {
    "b.cedar": `${permit("named")} permit(principal == ?principal, action, resource);`,
    "a.cedar": "permit(principal, action, resource); forbid(principal, action, resource) when { false };",
    "links.json":
      '[{"templateId": "b.cedar#1", "newId": "link", "values": {"?principal": {"type": "User", "id": "a"}}}]',
    "entities/two.json": '[{"uid": {"type": "User", "id": "b"}, "attrs": {"n": 9007199254740993}, "parents": []}]',
    "entities/one.json": '[{"uid": {"type": "User", "id": "a"}, "attrs": {}, "parents": []}]',
    "README.md": "not read",
    ".hidden.cedar": "not read",
  });
  const loaded = await loadPolicyDirectory(directory, control);
  assert.deepEqual(Object.keys(loaded.policySet.staticPolicies), ["a.cedar#0", "a.cedar#1", "named"]);
  assert.deepEqual(Object.keys(loaded.policySet.templates), ["b.cedar#1"]);
  assert.equal(loaded.policySet.templateLinks[0]?.newId, "link");
  assert.deepEqual(
    loaded.entities.map(({ uid, attrs }) => [uid.id, attrs]),
    [
      ["a", {}],
      ["b", { n: 9007199254740993n }],
    ],
  );
});

test("faults in policies, schema, entities and links are reported together, by file", async (context) => {
  const directory = await makeDirectory(context, {
    "a.cedar": "permit(principal, action, resource) when { principal.agee == 1 };",
    "schema.cedarschema": "entity User { age?: Long }; action view appliesTo { principal: User, resource: User };",
    "entities.json": '[{"uid": {"type": "Usr", "id": "b"}, "attrs": {}, "parents": []}]',
    "entities/more.json": "[1.5]",
    "links.json": "{}",
  });
  await assert.rejects(loadPolicyDirectory(directory, control), (error: PolicySourceError) => {
    assert.ok(error instanceof PolicySourceError);
    const errors = error.diagnostics.filter(({ severity }) => severity === "error");
    assert.deepEqual(
      errors.map(({ file, line, column }) => [file, line, column]),
      [
        ["a.cedar", 1, 44],
        ["entities.json", undefined, undefined],
        ["entities/more.json", 1, 2],
        ["links.json", undefined, undefined],
      ],
    );
    return true;
  });
});

test("the content hash follows the content, not the time", async (context) => {
  const directory = await makeDirectory(context, { "a.cedar": permit("a") });
  const first = await loadPolicyDirectory(directory, control);
  await writeFiles(directory, { "a.cedar": permit("a"), "notes.txt": "x" });
  assert.equal((await loadPolicyDirectory(directory, control)).contentHash, first.contentHash);
  await rename(join(directory, "a.cedar"), join(directory, "b.cedar"));
  assert.notEqual((await loadPolicyDirectory(directory, control)).contentHash, first.contentHash);
});

test("a directory that is missing, has two schemas, too many or too large files, or is not UTF-8 is refused", async (context) => {
  const directory = await makeDirectory(context, { "a.cedar": permit("a"), "b.cedar": permit("b") });
  const load = (limits: object = {}) => loadPolicyDirectory(directory, control, { ...DEFAULT_FILE_LIMITS, ...limits });
  await assert.rejects(loadPolicyDirectory(join(directory, "none"), control), /cannot read the directory .*ENOENT/);
  await assert.rejects(load({ files: 1 }), /holds 2 files; at most 1/);
  await assert.rejects(load({ fileBytes: 10 }), /at most 10 are read/);
  await writeFiles(directory, { "schema.cedarschema": "", "schema.cedarschema.json": "{}" });
  await assert.rejects(load(), /two schemas/);
  await rm(join(directory, "schema.cedarschema"));
  await rm(join(directory, "schema.cedarschema.json"));
  await writeFile(join(directory, "a.cedar"), Buffer.from([0xff, 0xfe]));
  await assert.rejects(load(), /cannot read .*a\.cedar: ERR_ENCODING_INVALID_ENCODED_DATA/);
});

/** A watcher whose reports are awaited in turn. */
function watchReports(
  context: TestContext,
  directory: string,
  timing: { settleMs: number; pollMs: number; pollOnly?: boolean },
) {
  const reports: (PolicyDirectory | Error)[] = [];
  let wake = (): void => {};
  const tell = (report: PolicyDirectory | Error): void => {
    reports.push(report);
    wake();
  };
  const watcher = watchPolicyDirectory({ directory, control, onChange: tell, onError: tell, ...timing });
  context.after(() => watcher.close());
  const next = async (): Promise<string[] | Error> => {
    // The watcher itself keeps no process alive; waiting for it does.
    const alive = setInterval(() => {}, 1_000);
    while (reports.length === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    clearInterval(alive);
    const report = reports.shift()!;
    return report instanceof Error ? report : Object.keys(report.policySet.staticPolicies);
  };
  return { watcher, next, reports };
}

for (const [how, timing] of [
  ["by signs of the file system", { settleMs: 10, pollMs: 3_600_000 }],
  ["by polling", { settleMs: 10, pollMs: 20, pollOnly: true }],
] as const) {
  test(`a good, a bad and a good edit are seen ${how}; the last good set stays meanwhile`, {
    timeout: 30_000,
  }, async (context) => {
    const directory = await makeDirectory(context, { "a.cedar": permit("one") });
    const { watcher, next } = watchReports(context, directory, timing);
    assert.deepEqual(await next(), ["one"]);

    await writeFiles(directory, { "a.cedar": "permit(principal, action" });
    const fault = await next();
    assert.ok(fault instanceof PolicySourceError);
    assert.equal(fault.diagnostics[0]?.file, "a.cedar");
    assert.deepEqual(Object.keys(watcher.current!.policySet.staticPolicies), ["one"]);

    await writeFiles(directory, { "a.cedar": permit("two") });
    assert.deepEqual(await next(), ["two"]);

    await writeFiles(directory, { "a.cedar": "permit(" });
    assert.ok((await next()) instanceof PolicySourceError);
    await writeFiles(directory, { "a.cedar": permit("two") });
    assert.deepEqual(await next(), ["two"], "the end of a fault is told");
  });
}

test("a Kubernetes volume's swap is seen, and read whole", { timeout: 30_000 }, async (context) => {
  const directory = await makeDirectory(context, {
    "..2024_1/a.cedar": permit("one"),
    "..2024_2/a.cedar": permit("two"),
  });
  await symlink("..2024_1", join(directory, "..data"));
  await symlink("..data/a.cedar", join(directory, "a.cedar"));
  const { next } = watchReports(context, directory, { settleMs: 10, pollMs: 3_600_000 });
  assert.deepEqual(await next(), ["one"]);
  await symlink("..2024_2", join(directory, "..data_tmp"));
  await rename(join(directory, "..data_tmp"), join(directory, "..data"));
  assert.deepEqual(await next(), ["two"]);
});

test("a directory that is replaced by another goes on being watched", { timeout: 30_000 }, async (context) => {
  const parent = await makeDirectory(context, { "live/a.cedar": permit("one"), "next/a.cedar": permit("two") });
  const live = join(parent, "live");
  const { next } = watchReports(context, live, { settleMs: 10, pollMs: 50 });
  assert.deepEqual(await next(), ["one"]);
  await rename(live, join(parent, "old"));
  assert.match(String(await next()), /ENOENT/);
  await rename(join(parent, "next"), live);
  assert.deepEqual(await next(), ["two"]);
});

test("looking again at the same content tells nothing", async (context) => {
  const directory = await makeDirectory(context);
  await cp(DEMO, directory, { recursive: true });
  const { watcher, next, reports } = watchReports(context, directory, { settleMs: 10, pollMs: 3_600_000 });
  assert.ok(Array.isArray(await next()));
  await Promise.all([watcher.check(), watcher.check(), watcher.check()]);
  assert.deepEqual(reports, []);
});

test("content that does not stand still is not loaded: a half-written set may lack its forbids", {
  timeout: 30_000,
}, async (context) => {
  const directory = await makeDirectory(context, { "a.cedar": permit("one") });
  const { next } = watchReports(context, directory, { settleMs: 300, pollMs: 20 });
  assert.deepEqual(await next(), ["one"]);
  await writeFiles(directory, { "a.cedar": "" });
  await new Promise((resolve) => setTimeout(resolve, 20));
  await writeFiles(directory, { "a.cedar": permit("two") });
  assert.deepEqual(await next(), ["two"]);
});
