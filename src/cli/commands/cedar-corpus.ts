import { createCedarControl } from "../../policy/control/cedar-control.ts";
import type { Command } from "../command.ts";
import { listRequests, loadCase, parseCase } from "../corpus/corpus-case.ts";
import { type CorpusFiles, openCorpus } from "../corpus/corpus-files.ts";
import { type CaseOutcome, runCase } from "../corpus/run-case.ts";

/** Failures shown in full. */
const SHOWN = 10;
/** Cases between two lines of progress. */
const PROGRESS = 500;

/** Runs the cases of the official integration tests' format. */
export const cedarCorpus: Command = {
  name: "cedar corpus",
  summary: "Run cases of the official Cedar integration tests.",
  details:
    "PATH is a directory or a .tar.gz. Decisions, reasons and errors are compared as sets, and whether the policies\n" +
    'validate; that "no applicable action" is a warning since the corpus was made is allowed for. Policies that fail are\n' +
    "skipped, as the corpus has it. Exits with 1 when anything differs.",
  arguments: ["PATH"],
  options: { json: { type: "boolean", description: "Write one JSON object." } },
  async run({ positionals, values, out, err }) {
    const files = await openCorpus(positionals[0]!);
    const names = files.names.filter((name) => name.endsWith(".json") && !name.endsWith(".entities.json"));
    // Two threads of the official implementation, and the engine here: that is as much as it makes use of.
    const controls = [createCedarControl(), createCedarControl()];
    let cases = 0;
    let passed = 0;
    const failures: string[] = [];
    let next = 0;
    const work = async (control: (typeof controls)[number]): Promise<void> => {
      for (let name = names[next++]; name !== undefined; name = names[next++]) {
        const outcome = await runFile(name, files, control);
        if (!outcome) continue;
        cases++;
        passed += outcome.passed;
        failures.push(...outcome.failures);
        if (cases % PROGRESS === 0) err(`${cases} cases: ${passed} passed, ${failures.length} failed`);
      }
    };
    // Two at a time for each thread, so that none waits for the engine.
    await Promise.all([...controls, ...controls].map(work)).finally(() => Promise.all(controls.map((c) => c.close())));
    if (values.json) {
      out(JSON.stringify({ cases, passed, failed: failures.length, failures: failures.sort() }, undefined, 2));
    } else {
      for (const failure of failures.sort().slice(0, SHOWN)) err(failure);
      if (failures.length > SHOWN) err(`… and ${failures.length - SHOWN} more`);
      out(`${cases} cases`);
      out(`${passed} passed, ${failures.length} failed`);
    }
    return failures.length === 0 && cases > 0 ? 0 : 1;
  },
};

async function runFile(
  name: string,
  files: CorpusFiles,
  control: ReturnType<typeof createCedarControl>,
): Promise<CaseOutcome | undefined> {
  try {
    const json = parseCase((await files.read(name)) ?? "");
    if (!json) return undefined;
    try {
      return await runCase(await loadCase(name, json, files), control);
    } catch (error) {
      const reason = (error as Error).message;
      return { passed: 0, failures: listRequests(json)!.map((_, index) => `${name}: request ${index}: ${reason}`) };
    }
  } catch (error) {
    return { passed: 0, failures: [`${name}: ${(error as Error).message}`] };
  }
}
