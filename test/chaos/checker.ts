import type { FaultRecord, History, Interval, Operation } from "./history.ts";
import { createRegister, type Register } from "./register.ts";

/** What the system promises, in milliseconds. */
export interface Bounds {
  /** After this time, a replica that can reach the store decides by every acknowledged change of policies and entities. */
  readonly propagationMs: number;
  /** How long after its call's answer was lost a write may still take effect. */
  readonly settleMs: number;
  /** How long after its deadline a call may be answered. */
  readonly slackMs: number;
  /** How long after a fault was mended everything serves again. */
  readonly recoveryMs: number;
}

export type ViolationKind =
  /** Something was granted that nothing in force could grant. */
  | "wrong-allow"
  /** An acknowledged write that grants is not seen. */
  | "lost-write"
  /** A call was not answered in time, or only its own deadline ended it though the replica ran. */
  | "unanswered"
  /** A status that tells of a defect. */
  | "defect"
  /** All was not well in time after a fault. */
  | "slow-recovery"
  /** A process ended that nobody had ended. */
  | "crash";

export interface Violation {
  readonly kind: ViolationKind;
  readonly at: number;
  readonly detail: string;
  readonly operation?: Operation;
}

/** Statuses that no fault excuses. */
const defects: ReadonlySet<string> = new Set(["INTERNAL", "UNKNOWN", "DATA_LOSS", "UNIMPLEMENTED"]);

/** Holds a history against the promises. A pure function: the same history gives the same violations, in order of time. */
export function checkHistory(history: History, bounds: Bounds): Violation[] {
  return [
    ...checkReads(history, bounds),
    ...checkAnswers(history, bounds),
    ...checkRecovery(history.faults, bounds),
    ...history.crashes.map(
      ({ replica, from }): Violation => ({ kind: "crash", at: from, detail: `${replica} ended by itself` }),
    ),
  ].sort((a, b) => a.at - b.at);
}

function checkReads({ operations, cutOff }: History, bounds: Bounds): Violation[] {
  const registers = new Map<string, Register>();
  const register = (name: string): Register => {
    const known = registers.get(name) ?? createRegister(bounds.settleMs);
    registers.set(name, known);
    return known;
  };
  for (const operation of operations) {
    if (operation.outcome === "refused") continue;
    for (const { register: name, grants } of operation.writes) {
      register(name).write({ grants, start: operation.start, end: operation.end, sure: operation.outcome === "ok" });
    }
  }
  const violations: Violation[] = [];
  for (const operation of operations) {
    for (const { register: name, grants } of operation.reads) {
      const since = isReplicated(name)
        ? knownSince(operation.decidedBy ?? operation.replica, operation.start, cutOff, bounds.propagationMs)
        : operation.start;
      if (register(name).mayBe(grants, since, operation.end)) continue;
      violations.push({
        kind: grants ? "wrong-allow" : "lost-write",
        at: operation.end,
        detail: `${operation.name} by ${operation.decidedBy ?? operation.replica} found ${name} ${grants ? "granted" : "not granted"}`,
        operation,
      });
    }
  }
  return violations;
}

/** Whether a register is one that replicas of policy-service keep copies of. All others are read from the store each time. */
export function isReplicated(register: string): boolean {
  return register.startsWith("policy:") || register.startsWith("entity:");
}

/** The instant from which on a replica's copy may be, for a call that began at `start`. */
export function knownSince(replica: string, start: number, cutOff: readonly Interval[], propagationMs: number): number {
  let since = start - propagationMs;
  const intervals = cutOff.filter((interval) => interval.replica === replica && interval.from <= start);
  // An interval that ended within the bound moves it before its beginning, where it may meet another one.
  for (const { from, to } of intervals.sort((a, b) => b.to - a.to)) {
    if (to >= since) since = Math.min(since, from - propagationMs);
  }
  return since;
}

function checkAnswers({ operations, away }: History, { slackMs }: Bounds): Violation[] {
  return operations.flatMap((operation): Violation[] => {
    const { name, replica, code, start, end, deadline } = operation;
    const found = (kind: ViolationKind, detail: string): Violation => ({ kind, at: end, detail, operation });
    if (end > deadline + slackMs)
      return [found("unanswered", `${name} by ${replica} took ${Math.round(end - start)} ms`)];
    if (code === "DEADLINE_EXCEEDED" && !isAway(away, replica, start, end)) {
      return [found("unanswered", `${name} by ${replica} was ended by its deadline`)];
    }
    if (defects.has(code)) return [found("defect", `${name} by ${replica} answered ${code} ${operation.reason ?? ""}`)];
    return [];
  });
}

function isAway(away: readonly Interval[], replica: string, start: number, end: number): boolean {
  return away.some((interval) => interval.replica === replica && interval.from <= end && interval.to >= start);
}

function checkRecovery(faults: readonly FaultRecord[], { recoveryMs }: Bounds): Violation[] {
  return faults.flatMap(({ fault, target, healed, recovered }): Violation[] => {
    const took = (recovered ?? Number.POSITIVE_INFINITY) - healed;
    if (took <= recoveryMs) return [];
    const detail = `${fault} of ${target}: ${Number.isFinite(took) ? `${Math.round(took)} ms` : "never"}`;
    return [{ kind: "slow-recovery", at: recovered ?? healed + recoveryMs, detail }];
  });
}
