import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { loadPolicyDirectory } from "../../policy/adapters/policy-directory.ts";
import { createCedarControl } from "../../policy/control/cedar-control.ts";
import { type Command, CommandError } from "../command.ts";
import { createTestRunner, describeDifference, formatUid, type PolicyTestOutcome } from "../policy-tests/run-test.ts";
import { type PolicyTest, type PolicyTestFile, parseTestFile } from "../policy-tests/test-file.ts";

/** Runs the test cases of a policy directory. */
export const policyTest: Command = {
  name: "policy test",
  summary: "Run a policy directory's test cases.",
  details:
    "Cases are in DIR/tests/*.yaml; policies/policy-test.schema.json tells editors their form. Exits with 1 when a case fails,\n" +
    "and when there is none.",
  arguments: ["DIR"],
  options: {
    json: { type: "boolean", description: "Write one JSON object." },
    filter: { type: "string", placeholder: "TEXT", description: "Run only cases whose description has this text." },
  },
  async run({ positionals, values, out }) {
    const [directory] = positionals as [string];
    const control = createCedarControl();
    const loaded = await loadPolicyDirectory(directory, control).finally(() => control.close());
    const files = await readTestFiles(directory);
    const chosen = (test: PolicyTest): boolean =>
      test.description.includes((values.filter as string | undefined) ?? "");
    const results = files.flatMap((file) => {
      const run = createTestRunner(loaded, file.strictForbid);
      return file.tests.filter(chosen).map((test) => ({ file: file.name, test, outcome: run(test) }));
    });
    if (results.length === 0) throw new CommandError(`there is no test case to run in ${join(directory, "tests")}`);
    const failed = results.filter(({ outcome }) => !outcome.passed).length;
    if (values.json) {
      const cases = results.map(({ file, test, outcome }) => ({
        file,
        line: test.line,
        description: test.description,
        ...outcome,
      }));
      out(JSON.stringify({ passed: results.length - failed, failed, cases }, undefined, 2));
    } else {
      for (const { file, test, outcome } of results) for (const line of describe(file, test, outcome)) out(line);
      out(`${results.length - failed} passed, ${failed} failed`);
    }
    return failed === 0 ? 0 : 1;
  },
};

async function readTestFiles(directory: string): Promise<PolicyTestFile[]> {
  const folder = join(directory, "tests");
  const names = await readdir(folder).catch(() => []);
  const chosen = names.filter((name) => /\.ya?ml$/.test(name)).sort();
  return Promise.all(
    chosen.map(async (name) =>
      parseTestFile({ name: `tests/${name}`, text: await readFile(join(folder, name), "utf8") }),
    ),
  );
}

function describe(file: string, test: PolicyTest, outcome: PolicyTestOutcome): string[] {
  if (outcome.passed) return [`✓ ${test.description}`];
  const { principal, action, resource } = test.request;
  return [
    `✗ ${test.description} (${file}:${test.line})`,
    `    ${[principal, action, resource].map(formatUid).join(" ")}`,
    ...describeDifference(outcome).map((line) => `    ${line}`),
  ];
}
