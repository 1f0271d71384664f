import type { Evaluation } from "../cedar/decision.ts";
import type { ActivePolicies } from "./active-policies.ts";
import { evaluate, type Query } from "./evaluate.ts";

/** What is compared: the active revision with a candidate, from some time on. */
export interface Comparison {
  /** The same on every replica. */
  readonly name: string;
  readonly active: string;
  readonly shadow: string;
  readonly sampleRate: number;
  /** Milliseconds since the epoch. */
  readonly startTime: number;
}

/** A decision and the policies that made it; `NONE` where the candidate refused the request. */
export interface ComparedDecision {
  readonly decision: "ALLOW" | "DENY" | "NONE";
  readonly policies: readonly string[];
}

/** One kind of difference. */
export interface DifferenceKind {
  readonly active: ComparedDecision;
  readonly shadow: ComparedDecision;
  readonly count: number;
  readonly examples: readonly Query[];
}

/** How many requests were evaluated by both, decided differently, and not compared to bound the work. */
export interface Totals {
  readonly evaluated: number;
  readonly different: number;
  readonly skipped: number;
}

/** What came of comparing. */
export interface ShadowReport extends Totals {
  /** Most frequent first. */
  readonly kinds: readonly DifferenceKind[];
}

export const emptyReport: ShadowReport = { evaluated: 0, different: 0, skipped: 0, kinds: [] };

/** A request that the active policies have decided. */
interface Answered {
  readonly query: Query;
  readonly evaluation: Evaluation;
}

/** Requests that wait to be compared. */
const maxQueued = 256;
/** Kinds of differences that are told apart. */
const maxKinds = 200;
const maxExamples = 5;
/** Requests larger than this, as JSON, are counted but not kept as examples. */
const maxExampleLength = 4_096;
/** Longest that comparing holds up the event loop, in milliseconds. */
const sliceMs = 1;

/**
 * Evaluates a candidate beside the active policies, on live requests that were answered already.
 *
 * It takes at most a share of the processor's time; what that does not suffice for is skipped, and counted.
 */
export class Shadow {
  readonly #policies: ActivePolicies;
  readonly #cpuShare: number;
  #comparison: Comparison | undefined;
  #queue: Answered[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** `totals` when the comparison began. */
  #begun: Totals = { evaluated: 0, different: 0, skipped: 0 };
  #kinds = new Map<string, { active: ComparedDecision; shadow: ComparedDecision; count: number; examples: Query[] }>();
  readonly #totals = { evaluated: 0, different: 0, skipped: 0 };

  /** @param cpuShare the share of one processor that comparing may take, above 0 to 1. */
  constructor(policies: ActivePolicies, cpuShare: number) {
    this.#policies = policies;
    this.#cpuShare = cpuShare;
  }

  get comparison(): Comparison | undefined {
    return this.#comparison;
  }

  /** Counts since the process began, for metrics. */
  get totals(): Totals {
    return this.#totals;
  }

  /** Begins a comparison, goes on with it if it is the same, or ends it. */
  compare(comparison: Comparison | undefined): void {
    if (comparison?.name === this.#comparison?.name) return;
    this.#comparison = comparison;
    this.#queue = [];
    this.#begun = { ...this.#totals };
    this.#kinds = new Map();
  }

  /** Whether the request at hand is one to be compared: it is in the sample, and there is room for it. */
  wants(): boolean {
    const comparison = this.#comparison;
    if (comparison === undefined) return false;
    if (comparison.sampleRate < 1 && Math.random() >= comparison.sampleRate) return false;
    if (this.#queue.length < maxQueued) return true;
    this.#totals.skipped += 1;
    return false;
  }

  /** Takes a request that the active policies have decided. Returns at once. */
  take(query: Query, evaluation: Evaluation): void {
    this.#queue.push({ query, evaluation });
    this.#timer ??= setTimeout(() => this.#work(), 0);
  }

  report(): ShadowReport {
    const { evaluated, different, skipped } = this.#totals;
    return {
      evaluated: evaluated - this.#begun.evaluated,
      different: different - this.#begun.different,
      skipped: skipped - this.#begun.skipped,
      kinds: [...this.#kinds.values()].sort((a, b) => b.count - a.count),
    };
  }

  #work(): void {
    this.#timer = undefined;
    const started = performance.now();
    const shadow = this.#policies.shadow;
    let at = 0;
    let spent = 0;
    while (at < this.#queue.length && spent < sliceMs) {
      const { query, evaluation } = this.#queue[at] as Answered;
      at += 1;
      if (shadow !== undefined && shadow.revision === this.#comparison?.shadow) {
        this.#record(
          query,
          fromEvaluation(evaluation),
          decide(() => evaluate(shadow, query)),
        );
      }
      spent = performance.now() - started;
    }
    this.#queue.splice(0, at);
    if (this.#queue.length === 0) return;
    this.#timer = setTimeout(() => this.#work(), Math.ceil(spent / this.#cpuShare - spent));
  }

  #record(query: Query, active: ComparedDecision, shadow: ComparedDecision): void {
    this.#totals.evaluated += 1;
    if (active.decision === shadow.decision) return;
    this.#totals.different += 1;
    const key = kindKey(active, shadow);
    let kind = this.#kinds.get(key);
    if (kind === undefined) {
      if (this.#kinds.size >= maxKinds) return;
      kind = { active, shadow, count: 0, examples: [] };
      this.#kinds.set(key, kind);
    }
    kind.count += 1;
    if (kind.examples.length < maxExamples && JSON.stringify(query).length <= maxExampleLength)
      kind.examples.push(query);
  }
}

/** What all replicas found together. */
export function mergeReports(reports: readonly ShadowReport[]): ShadowReport {
  const kinds = new Map<string, DifferenceKind>();
  const total = { evaluated: 0, different: 0, skipped: 0 };
  for (const report of reports) {
    total.evaluated += report.evaluated;
    total.different += report.different;
    total.skipped += report.skipped;
    for (const kind of report.kinds) {
      const key = kindKey(kind.active, kind.shadow);
      const known = kinds.get(key);
      const examples = [...(known?.examples ?? []), ...kind.examples].slice(0, maxExamples);
      kinds.set(key, { ...kind, count: kind.count + (known?.count ?? 0), examples });
    }
  }
  return { ...total, kinds: [...kinds.values()].sort((a, b) => b.count - a.count) };
}

function kindKey(active: ComparedDecision, shadow: ComparedDecision): string {
  return JSON.stringify([active.decision, active.policies, shadow.decision, shadow.policies]);
}

function fromEvaluation({ decision, determining }: Evaluation): ComparedDecision {
  return { decision, policies: [...determining].sort() };
}

/** A candidate may refuse what the active policies admit, for example an action that its schema does not know. */
function decide(run: () => Evaluation): ComparedDecision {
  try {
    return fromEvaluation(run());
  } catch {
    return { decision: "NONE", policies: [] };
  }
}
