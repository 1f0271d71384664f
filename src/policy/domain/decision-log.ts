import type { Evaluation } from "../cedar/decision.ts";
import type { CedarJsonObject, EntityJson, EntityUid, EntityUidJson } from "../cedar/types.ts";
import type { Query } from "./evaluate.ts";
import type { Mask } from "./mask.ts";

/** A decision that was answered. */
export interface AnsweredDecision {
  readonly query: Query;
  readonly evaluation: Evaluation;
  readonly revision: string;
  readonly decisionId: string;
  readonly peerAddress: string;
  readonly requestId: string;
  readonly traceparent: string;
}

/** Why a decision was DENY: a `forbid` was satisfied, one failed in strict mode, or no `permit` was satisfied. */
export type Denial = "FORBIDDEN" | "INDETERMINATE" | "NO_MATCH";

/** A decision as it is logged: masked and bounded, with all that it takes to decide it again. */
export interface LoggedDecision extends Omit<AnsweredDecision, "query" | "evaluation"> {
  /** When it was decided, in milliseconds since the epoch. */
  readonly time: number;
  readonly principal: EntityUid;
  readonly action: EntityUid;
  readonly resource: EntityUid;
  readonly allowed: boolean;
  /** Why it was denied; undefined when it was allowed. */
  readonly reason: Denial | undefined;
  readonly determining: readonly string[];
  /** Policies that failed. */
  readonly failed: readonly string[];
  /** The context in JSON; undefined when it was too large. */
  readonly context: string | undefined;
  /** The entities that came with the request in JSON; undefined when they were too large. */
  readonly entities: string | undefined;
  /** Paths of what was masked. */
  readonly masked: readonly string[];
}

export interface DecisionLogOptions {
  /** Share of the decisions to log, 0 to 1. */
  readonly sample: number;
  /** Whether to log every denial, whatever the share. */
  readonly denials: boolean;
  /** Most decisions to log in a second. */
  readonly perSecond: number;
  /** Most that context and entities of one may take, in UTF-16 units of JSON. */
  readonly maxSize: number;
  readonly mask: Mask;
  /** Publishes decisions. Rejects when it could not; then it is called again with the same ones. */
  readonly publish: (decisions: readonly LoggedDecision[]) => Promise<void>;
  /** Told how many were logged, and how many were to be and were not. */
  readonly counted: (logged: number, dropped: number) => void;
  /** The wall clock, in milliseconds since the epoch. Default: `Date.now`. */
  readonly now?: () => number;
}

/** A decision that waits to be made ready. */
interface Waiting {
  readonly decision: AnsweredDecision;
  readonly time: number;
}

/** Decisions that wait to be made ready. */
const maxAnswered = 1_024;
/** What may wait to be published, in UTF-16 units of JSON. */
const maxReady = 8 * 1_024 * 1_024;
/** Roughly what a decision takes beside its context and entities. */
const ownSize = 512;
const batchSize = 250;
/** Longest that making decisions ready holds up the event loop at a time, and the share of the processor it takes. */
const sliceMs = 1;
const cpuShare = 0.25;
const gatherMs = 20;
const maxRetryMs = 1_000;
const tellEveryMs = 500;

/**
 * Logs a sample of the decisions, after they were answered and without any influence on them. What is beyond its bounds, of
 * rate, memory or processor, is dropped and counted.
 */
export class DecisionLog {
  readonly #options: DecisionLogOptions;
  /** Decisions to pass over before the next of the sample: one subtraction a decision, rather than one random number. */
  #skip: number;
  #credit: number;
  #creditMs = performance.now();
  readonly #now: () => number;
  #answered: Waiting[] = [];
  #ready: LoggedDecision[] = [];
  #readySize = 0;
  #timer: NodeJS.Timeout | undefined;
  #publishing: Promise<void> | undefined;
  #dropped = 0;
  #telling: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: DecisionLogOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#skip = this.#nextSkip();
    this.#credit = options.perSecond;
  }

  /** Whether the decision at hand is one to be logged: it is in the sample, and there is room for it. */
  wants(allowed: boolean): boolean {
    const sampled = this.#skip <= 0;
    if (sampled) this.#skip = this.#nextSkip();
    else {
      this.#skip -= 1;
      if (allowed || !this.#options.denials) return false;
    }
    if (this.#answered.length < maxAnswered && this.#spend()) return true;
    this.#drop(1);
    return false;
  }

  /** Takes a decision that `wants` has asked for. Returns at once. */
  take(decision: AnsweredDecision): void {
    this.#answered.push({ decision, time: this.#now() });
    this.#timer ??= setTimeout(() => this.#work(), 0);
  }

  /** Publishes what waits, within some milliseconds. */
  async close(withinMs: number): Promise<void> {
    clearTimeout(this.#timer);
    for (const waiting of this.#answered.splice(0)) this.#make(waiting);
    this.#closed = true;
    this.#publishing ??= this.#publish();
    // Not unref'd: while it waits, nothing else may keep the process alive.
    await new Promise<void>((resolve) => {
      const late = setTimeout(resolve, withinMs);
      void this.#publishing?.finally(() => {
        clearTimeout(late);
        resolve();
      });
    });
    this.#drop(this.#ready.length);
    this.#tellDropped();
  }

  /** Counts in a number of its own: what is dropped may be millions a second. */
  #drop(count: number): void {
    this.#dropped += count;
    this.#telling ??= setTimeout(() => this.#tellDropped(), tellEveryMs).unref();
  }

  #tellDropped(): void {
    clearTimeout(this.#telling);
    this.#telling = undefined;
    if (this.#dropped > 0) this.#options.counted(0, this.#dropped);
    this.#dropped = 0;
  }

  #nextSkip(): number {
    const { sample } = this.#options;
    if (sample >= 1) return 0;
    if (sample <= 0) return Number.POSITIVE_INFINITY;
    // How many of independent trials fail before one succeeds: the geometric distribution.
    return Math.floor(Math.log(1 - Math.random()) / Math.log(1 - sample));
  }

  #spend(): boolean {
    if (this.#credit < 1) {
      const now = performance.now();
      const { perSecond } = this.#options;
      this.#credit = Math.min(perSecond, this.#credit + ((now - this.#creditMs) / 1_000) * perSecond);
      this.#creditMs = now;
      if (this.#credit < 1) return false;
    }
    this.#credit -= 1;
    return true;
  }

  #work(): void {
    this.#timer = undefined;
    const started = performance.now();
    let at = 0;
    let spent = 0;
    while (at < this.#answered.length && spent < sliceMs) {
      this.#make(this.#answered[at] as Waiting);
      at += 1;
      spent = performance.now() - started;
    }
    this.#answered.splice(0, at);
    this.#publishing ??= this.#publish();
    if (this.#answered.length > 0) {
      this.#timer = setTimeout(() => this.#work(), Math.ceil(spent / cpuShare - spent));
    }
  }

  #make(waiting: Waiting): void {
    const logged = toLogged(waiting, this.#options);
    const size = sizeOf(logged);
    if (this.#readySize + size > maxReady) {
      this.#drop(1);
      return;
    }
    this.#ready.push(logged);
    this.#readySize += size;
  }

  async #publish(): Promise<void> {
    for (let retryMs = gatherMs; this.#ready.length > 0; ) {
      if (!this.#closed) await new Promise<void>((resolve) => setTimeout(resolve, retryMs).unref());
      const batch = this.#ready.slice(0, batchSize);
      try {
        await this.#options.publish(batch);
        this.#ready.splice(0, batch.length);
        for (const logged of batch) this.#readySize -= sizeOf(logged);
        this.#options.counted(batch.length, 0);
        retryMs = gatherMs;
      } catch {
        retryMs = Math.min(maxRetryMs, retryMs * 2);
        if (this.#closed) break;
      }
    }
    this.#publishing = undefined;
  }
}

function sizeOf({ context = "", entities = "" }: LoggedDecision): number {
  return context.length + entities.length + ownSize;
}

function toLogged({ decision, time }: Waiting, options: DecisionLogOptions): LoggedDecision {
  const { query, evaluation, ...rest } = decision;
  const { mask, maxSize } = options;
  const found = new Set<string>();
  const context = toJson(mask.context(query.context, found));
  const entities = toJson((query.entities ?? []).map((entity) => maskEntity(entity, mask, found)));
  const contextFits = context.length <= maxSize;
  const entitiesFit = (contextFits ? context.length : 0) + entities.length <= maxSize;
  return {
    ...rest,
    time,
    principal: query.principal,
    action: query.action,
    resource: query.resource,
    allowed: evaluation.decision === "ALLOW",
    reason: reasonOf(evaluation),
    determining: evaluation.determining,
    failed: evaluation.errors.map(({ policyId }) => policyId),
    context: contextFits ? context : undefined,
    entities: entitiesFit ? entities : undefined,
    masked: [...found],
  };
}

function reasonOf({ decision, determining, indeterminate }: Evaluation): Denial | undefined {
  if (decision === "ALLOW") return undefined;
  if (determining.length > 0) return "FORBIDDEN";
  return indeterminate ? "INDETERMINATE" : "NO_MATCH";
}

function maskEntity({ uid, attrs = {}, parents = [], tags = {} }: EntityJson, mask: Mask, found: Set<string>) {
  return {
    uid: plainUid(uid),
    attrs: mask.attributes(attrs, found),
    parents: parents.map(plainUid),
    ...(isEmpty(tags) ? {} : { tags: mask.attributes(tags, found) }),
  };
}

function plainUid(uid: EntityUidJson): EntityUid {
  const { type, id } = "__entity" in uid ? uid.__entity : uid;
  return { type, id };
}

function isEmpty(attributes: CedarJsonObject): boolean {
  for (const _ in attributes) return false;
  return true;
}

/** A Long that a number cannot hold comes as text: rounded it would be another. */
function toJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => (typeof inner === "bigint" ? String(inner) : inner));
}
