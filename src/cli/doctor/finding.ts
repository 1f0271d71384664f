/** How a check came out. `skipped` is not `ok`: nothing was looked at. */
export type Level = "ok" | "warning" | "problem" | "skipped";

/** What one check of one thing came to. */
export interface Finding {
  readonly level: Level;
  /** Short name of the check, stable for programs, for example `readiness`. */
  readonly check: string;
  /** What was checked, for example `auth-service 10.0.0.7:50051`, or a file. */
  readonly subject: string;
  /** What holds or is wrong, for people. Never holds a credential. */
  readonly message: string;
  /** How to mend it; of everything that is not ok. */
  readonly remedy?: string;
}

/** Finds of one subject, in fewer words. */
export interface Findings {
  ok(check: string, message: string): void;
  warning(check: string, message: string, remedy: string): void;
  problem(check: string, message: string, remedy: string): void;
  skipped(check: string, message: string, remedy: string): void;
}

/** Collects the findings of one subject into a list. */
export function findingsOf(subject: string, into: Finding[]): Findings {
  const add =
    (level: Level) =>
    (check: string, message: string, remedy: string): void =>
      void into.push({ level, check, subject, message, remedy });
  return {
    ok: (check, message) => void into.push({ level: "ok", check, subject, message }),
    warning: add("warning"),
    problem: add("problem"),
    skipped: add("skipped"),
  };
}

/** Lays the findings out for people: one line each, and below it how to mend what is wrong. */
export function findingsText(findings: readonly Finding[]): string {
  const width = Math.max(0, ...findings.map(({ subject }) => subject.length));
  const lines = findings.map(({ level, check, subject, message, remedy }) => {
    const line = `${level.padEnd(7)}  ${subject.padEnd(width)}  ${check}: ${message}`;
    return remedy === undefined ? line : `${line}\n${" ".repeat(9)}-> ${remedy}`;
  });
  const count = (level: Level): number => findings.filter((finding) => finding.level === level).length;
  const totals = `${count("ok")} ok, ${count("warning")} warnings, ${count("problem")} problems, ${count("skipped")} skipped`;
  return [...lines, "", totals].join("\n");
}
