import type { Bounds, Violation } from "./checker.ts";
import type { History } from "./history.ts";

export interface RunSummary {
  readonly seed: number;
  readonly seconds: number;
  readonly bounds: Bounds;
  readonly malformed: number;
  readonly history: History;
  readonly violations: readonly Violation[];
}

export interface RunJson extends Omit<RunSummary, "history"> {
  readonly passed: boolean;
  /** Answers by operation and status. */
  readonly operations: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly faults: readonly FaultJson[];
}

export interface FaultJson {
  readonly fault: string;
  readonly target: string;
  /** When it was injected, since the run began. */
  readonly atMs: number;
  readonly lastedMs: number;
  /** From when it was mended until everything served again; null when that was not seen. */
  readonly recoveryMs: number | null;
  /** Calls that overlapped it, and how many of them got no answer that tells anything. */
  readonly calls: number;
  readonly failed: number;
}

/** A run as JSON: what was done, what came of it, and every violation with its operation. */
export function toJson({ history, ...run }: RunSummary): RunJson {
  return {
    ...run,
    passed: run.violations.length === 0,
    operations: countOperations(history),
    faults: history.faults.map(({ fault, target, from, healed, recovered }) => ({
      fault,
      target,
      atMs: Math.round(from),
      lastedMs: Math.round(healed - from),
      recoveryMs: recovered === undefined ? null : Math.round(recovered - healed),
      ...countCalls(history, from, recovered ?? healed),
    })),
  };
}

function countCalls({ operations }: History, from: number, to: number): Pick<FaultJson, "calls" | "failed"> {
  const during = operations.filter(({ start, end }) => start <= to && end >= from);
  return { calls: during.length, failed: during.filter(({ outcome }) => outcome === "unknown").length };
}

function countOperations({ operations }: History): Record<string, Record<string, number>> {
  const counts: Record<string, Record<string, number>> = {};
  for (const { name, code } of operations) {
    const codes = counts[name] ?? {};
    counts[name] = { ...codes, [code]: (codes[code] ?? 0) + 1 };
  }
  return counts;
}

/** A run as lines for people. */
export function toTable(run: RunSummary): string {
  const json = toJson(run);
  const lines: string[] = [];
  const row = (...cells: readonly (string | number)[]): void => {
    lines.push(cells.map((cell, index) => String(cell).padEnd([24, 26, 10, 12][index] ?? 0)).join(" "));
  };
  row("fault", "target", "lasted", "recovered in", "failed calls");
  for (const { fault, target, lastedMs, recoveryMs, calls, failed } of json.faults) {
    row(fault, target, `${lastedMs} ms`, recoveryMs === null ? "never" : `${recoveryMs} ms`, `${failed} of ${calls}`);
  }
  lines.push("");
  row("operation", "answers");
  for (const name of Object.keys(json.operations).sort()) {
    const codes = Object.entries(json.operations[name] ?? {}).sort(([, a], [, b]) => b - a);
    row(name, codes.map(([code, count]) => `${code} ${count}`).join(", "));
  }
  lines.push("");
  for (const { kind, at, detail } of run.violations.slice(0, 30))
    lines.push(`${kind} at ${Math.round(at)} ms: ${detail}`);
  if (run.violations.length > 30) lines.push(`and ${run.violations.length - 30} more`);
  const { length } = run.history.operations;
  const kinds = ["wrong-allow", "lost-write", "unanswered", "defect", "slow-recovery", "crash"] as const;
  const counts = kinds
    .map((kind) => `${run.violations.filter((found) => found.kind === kind).length} ${kind}`)
    .join(", ");
  lines.push(
    `${json.passed ? "PASSED" : "FAILED"} seed ${run.seed}: ${length} operations, ${json.faults.length} faults, ` +
      `${run.malformed} malformed frames and calls in ${run.seconds} s: ${counts}`,
  );
  return lines.join("\n");
}
