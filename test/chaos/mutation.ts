/**
 * Shows that the chaos suite finds what it is there for: each defect is put into a copy of the sources, and a short run in
 * that copy must fail with the right kind of violation; without any, it must pass.
 *
 * Run by `node test/chaos/mutation.ts [PATTERN]`; takes about four minutes.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ViolationKind } from "./checker.ts";
import type { RunJson } from "./report.ts";

interface Defect {
  readonly name: string;
  readonly file: string;
  /** Texts of the source, each there once, and what takes their place. */
  readonly edits: readonly (readonly [string, string])[];
  /** Faults that bring it to light. */
  readonly faults: string;
  /** Violations of which at least one must be found. */
  readonly found: readonly ViolationKind[];
}

const defects: readonly Defect[] = [
  {
    name: "authorization fails open",
    file: "src/auth/adapters/policy-decisions.ts",
    edits: [
      [
        "if (error instanceof ServiceError && passedOn.has(error.code)) throw error;",
        'if (passedOn.size > 0) return { decision: Decision.ALLOW, determiningPolicies: [], revision: "", decisionId: "" };',
      ],
    ],
    faults: "network cut auth-. to policy",
    found: ["wrong-allow"],
  },
  {
    name: "revocations of tokens are not looked at",
    file: "src/auth/domain/revocations.ts",
    edits: [["(answers) => answers.includes(true)", "() => false"]],
    faults: "clock step",
    found: ["wrong-allow"],
  },
  {
    name: "revocations are acknowledged whether kept or not",
    file: "src/auth/domain/revocations.ts",
    edits: [
      ["await journal.begin(begun);", "await Promise.resolve(journal.begin(begun)).catch(() => undefined);"],
      ["    await apply(begun);", "    await apply(begun).catch(() => undefined);"],
      ["return await announce(begun);", 'return await Promise.resolve(announce(begun)).catch(() => "");'],
    ],
    faults: "out of memory",
    found: ["wrong-allow"],
  },
  {
    name: "entities are acknowledged whether kept or not",
    file: "src/policy/domain/resident-entities.ts",
    edits: [
      [
        "await repository.change(previous, change);",
        "await repository.change(previous, change).catch(() => previous + 1);",
      ],
    ],
    faults: "out of memory",
    found: ["wrong-allow", "lost-write"],
  },
  {
    name: "replicas do not hear of changes",
    file: "src/policy/follow-changes.ts",
    edits: [
      // They must start, so the first looks into the store are left to them.
      [
        "async function refreshAll(): Promise<void> {",
        "let looks = 0;\n  async function refreshAll(): Promise<void> {\n    if (looks++ > 1) return;",
      ],
      ["onMessage: () => lifecycle.refresh(),", "onMessage: () => undefined,"],
      ["if (everything) return await entities.refresh();", "if (!everything || everything) return;"],
    ],
    faults: "clock step",
    found: ["wrong-allow", "lost-write"],
  },
  {
    name: "the store is waited for without end",
    file: "src/shared/store/redis.ts",
    edits: [
      ["commandTimeout: 1_000,", ""],
      ["socketTimeout: 2_000,", ""],
    ],
    faults: "network half-open auth-. to Redis",
    found: ["unanswered"],
  },
];

const root = join(import.meta.dirname, "..", "..");
const seed = "1";

function createCopy(): string {
  const copy = mkdtempSync(join(tmpdir(), "gatehouse-chaos-mutation-"));
  for (const part of ["src", "gen", "policies", "package.json", "test"]) {
    cpSync(join(root, part), join(copy, part), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  return copy;
}

/** Kinds of violations that a short run in the copy finds. */
function violationsOf(copy: string, faults: string): readonly ViolationKind[] {
  const results = join(copy, "test", "chaos", "results");
  rmSync(results, { recursive: true, force: true });
  const args = ["test/chaos/run.ts", "--seed", seed, "--seconds", "10", "--faults", faults];
  const { stderr } = spawnSync(process.execPath, args, { cwd: copy, timeout: 150_000, encoding: "utf8" });
  const file = join(results, `${seed}.json`);
  if (!existsSync(file)) throw new Error(`the run did not come to an end: ${stderr}`);
  return (JSON.parse(readFileSync(file, "utf8")) as RunJson).violations.map(({ kind }) => kind);
}

function check(copy: string, { file, edits, faults, found }: Defect): string {
  const path = join(copy, file);
  const source = readFileSync(path, "utf8");
  let changed = source;
  for (const [from, to] of edits) {
    if (changed.split(from).length !== 2) return `NOT SEEDED: "${from}" is not in ${file} exactly once`;
    changed = changed.replace(from, () => to);
  }
  writeFileSync(path, changed);
  try {
    const kinds = violationsOf(copy, faults);
    const right = kinds.filter((kind) => found.includes(kind));
    return right.length > 0
      ? `found: ${right.length} ${[...new Set(right)].join(", ")}`
      : `NOT FOUND (${kinds.join(", ")})`;
  } finally {
    writeFileSync(path, source);
  }
}

const [pattern = ""] = process.argv.slice(2);
const copy = createCopy();
let failed = 0;
function tell(name: string, result: string): void {
  if (!result.startsWith("found") && result !== "passed") failed += 1;
  console.log(`${name}: ${result}`);
}
try {
  const chosen = defects.filter(({ name }) => name.includes(pattern));
  const healthy = violationsOf(copy, [...new Set(chosen.map(({ faults }) => faults))].join("|"));
  tell("no defect", healthy.length === 0 ? "passed" : `FAILED (${healthy.join(", ")})`);
  for (const defect of chosen) tell(defect.name, check(copy, defect));
} finally {
  rmSync(copy, { recursive: true, force: true });
}
process.exitCode = failed === 0 ? 0 : 1;
