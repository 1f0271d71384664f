import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/**
 * The mutation gate: each seeded fault is put into a copy of the engine, and the exactness tests must catch it. A fault
 * that no test catches, or whose text is no longer in the source, fails the gate.
 *
 * Run by `node test/cedar/mutation.ts`; takes about two minutes.
 */

interface Fault {
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const FAULTS: readonly Fault[] = [
  {
    name: "no overflow check",
    file: "long.ts",
    from: "if (value < MIN || value > MAX) return undefined;",
    to: "",
  },
  {
    name: "precision lost in Long addition",
    file: "long.ts",
    from: "if (Number.isSafeInteger(sum)) return sum;",
    to: "return sum;",
  },
  {
    name: "toTime of negative instants",
    file: "datetime.ts",
    from: "return new Duration(euclideanRemainder(instant.epoch, DAY));",
    to: "return new Duration(Number(BigInt(instant.epoch) % BigInt(DAY)));",
  },
  {
    name: "isLoopback ignores the prefix",
    file: "ipaddr.ts",
    from: "ip.address >> 24n === 127n && ip.prefix >= 8",
    to: "ip.address >> 24n === 127n",
  },
  {
    name: "isInRange checks one side",
    file: "ipaddr.ts",
    from: "|| ip.prefix < range.prefix",
    to: "",
  },
  {
    name: "IPv4 in IPv6 is accepted",
    file: "ipaddr.ts",
    from: "if (text.length > 39) return undefined;",
    to: 'if (/^::(ffff:)?[0-9.]+$/.test(text) && text.includes(".")) return parseV4(text.slice(text.lastIndexOf(":") + 1));',
  },
  {
    name: "leap years without the century rule",
    file: "datetime.ts",
    from: "return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);",
    to: "return year % 4 === 0;",
  },
  {
    name: "sign of a decimal's fraction",
    file: "decimal.ts",
    from: "negative ? subtract(scaled, right) : add(scaled, right)",
    to: "(scaled < 0 ? subtract(scaled, right) : add(scaled, right))",
  },
  {
    name: "set equality in one direction",
    file: "value.ts",
    from: "left.hasAll(right) && right.hasAll(left)",
    to: "left.hasAll(right)",
  },
  {
    name: "like lets its suffix overlap",
    file: "pattern.ts",
    from: "return (text) => text.length >= least && text.startsWith(prefix) && text.endsWith(suffix);",
    to: "return (text) => text.startsWith(prefix) && text.endsWith(suffix);",
  },
  {
    name: "in ignores a non-entity in the set",
    file: "operators.ts",
    from: "const targets = right.elements.map(asEntity);",
    to: "const targets = right.elements.filter((element) => element instanceof EntityRef);",
  },
  {
    name: "has on a missing entity fails",
    file: "operators.ts",
    from: "if (value instanceof EntityRef) return view.node(value)?.attrs.has(name) ?? false;",
    to: 'if (value instanceof EntityRef) return (view.node(value)?.attrs ?? raise(typeError("entity", "none"))).has(name);\nfunction raise(error: unknown): never { throw error; }',
  },
  {
    name: "only direct parents",
    file: "hierarchy.ts",
    from: "lineage = new Set(placeOf(ref).ancestors).add(ref.key);",
    to: "lineage = new Set([ref.key]);",
  },
  {
    name: "index without the is-type bucket",
    file: "policy-index.ts",
    from: "if (type.size > 0) append(found, type.get(entity.type));",
    to: "",
  },
  {
    name: "index without action ancestors",
    file: "policy-index.ts",
    from: "for (const key of view.ancestors(action)) {",
    to: "for (const key of [] as string[]) {",
  },
  {
    name: "candidates found twice",
    file: "policy-index.ts",
    from: "if (shelves > 1) removeDuplicates(found, start);",
    to: "",
  },
  {
    name: "forbid does not override",
    file: "engine.ts",
    from: "out.allow = !out.forbidden && !out.indeterminate && determining.length > 0;",
    to: "out.allow = !out.indeterminate && determining.length > 0;",
  },
  {
    name: "right side of && is not type-checked",
    file: "code.ts",
    from: "return test((env) => first(env) && second(env));",
    to: "{ const raw = (parts[1] as Code).run; return test((env) => first(env) && (raw(env) as boolean)); }",
  },
  {
    name: "failing forbid is skipped in strict mode",
    file: "engine.ts",
    from: 'if (this.#strictForbid && policy.effect === "forbid") out.indeterminate = true;',
    to: "",
  },
  {
    name: "overlay leaves residents' ancestors alone",
    file: "entity-overlay.ts",
    from: "if (!this.movesResidents) return this.#base.ancestors(ref);",
    to: "return this.#base.ancestors(ref);",
  },
  {
    name: "moved parents leave their descendants alone",
    file: "entity-store.ts",
    from: "moved ||= this.#children.has(key);",
    to: "",
  },
];

const TESTS = ["vectors.test.ts", "differential.test.ts"];
const ROOT = join(import.meta.dirname, "..", "..");

/** Copies the engine and its tests to a directory where a fault can be put in. */
function createCopy(): string {
  const copy = mkdtempSync(join(tmpdir(), "cedar-mutation-"));
  for (const part of ["src/policy/cedar", "test/cedar", "package.json"]) {
    cpSync(join(ROOT, part), join(copy, part), { recursive: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
  return copy;
}

/** The first test that fails in the copy, or `undefined` when all pass. */
function firstFailure(copy: string): string | undefined {
  return TESTS.find((name) => {
    const { status } = spawnSync(process.execPath, [join("test", "cedar", name)], {
      cwd: copy,
      stdio: "ignore",
      timeout: 120_000,
    });
    return status !== 0;
  });
}

function check(copy: string, fault: Fault): string | undefined {
  const path = join(copy, "src", "policy", "cedar", fault.file);
  const source = readFileSync(path, "utf8");
  if (source.split(fault.from).length !== 2)
    throw new Error(`the text to replace is not in ${fault.file} exactly once`);
  writeFileSync(
    path,
    source.replace(fault.from, () => fault.to),
  );
  try {
    const load = `await import(${JSON.stringify(pathToFileURL(path).href)})`;
    const { status } = spawnSync(process.execPath, ["--input-type=module", "-e", load], { stdio: "ignore" });
    if (status !== 0) throw new Error("the changed source does not load");
    return firstFailure(copy);
  } finally {
    writeFileSync(path, source);
  }
}

const copy = createCopy();
let failed = 0;
try {
  const healthy = firstFailure(copy);
  if (healthy !== undefined) throw new Error(`${healthy} fails without any fault`);
  for (const fault of FAULTS) {
    let result: string;
    try {
      const caughtBy = check(copy, fault);
      result = caughtBy === undefined ? "NOT CAUGHT" : `caught by ${caughtBy}`;
    } catch (error) {
      result = `NOT SEEDED: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (result.startsWith("NOT")) failed += 1;
    console.log(`${fault.name}: ${result}`);
  }
} finally {
  rmSync(copy, { recursive: true, force: true });
}
console.log(`${FAULTS.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
