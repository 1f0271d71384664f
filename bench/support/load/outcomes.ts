import type { Latency, LoadResult } from "./job.ts";

/** What became of every call of a run, by its number. */
export class Outcomes {
  /** When each call was due. */
  readonly due: Float64Array;
  /** Calls of which it is not known yet. */
  unsettled: number;
  private readonly first: number;
  private readonly deadlineMs: number;
  private readonly latencies: Float64Array;
  private answered = 0;
  private refused = 0;
  private heldBack = 0;
  private expired = 0;
  private sent = 0;
  private lateMs = 0;

  /** @param first Number of the first call that counts; those before are for warming up. */
  constructor(total: number, first: number, deadlineMs: number) {
    this.due = new Float64Array(total);
    this.unsettled = total;
    this.latencies = new Float64Array(total);
    this.first = first;
    this.deadlineMs = deadlineMs;
  }

  recordSent(call: number, now: number): void {
    if (call < this.first) return;
    this.sent += 1;
    this.lateMs += now - this.due[call]!;
  }

  recordAnswer(call: number, now: number): void {
    this.unsettled -= 1;
    if (call < this.first) return;
    const latency = now - this.due[call]!;
    if (latency > this.deadlineMs) this.expired += 1;
    else this.latencies[this.answered++] = latency;
  }

  recordRefusal(call: number): void {
    this.unsettled -= 1;
    if (call >= this.first) this.refused += 1;
  }

  recordHeldBack(call: number): void {
    this.unsettled -= 1;
    if (call >= this.first) this.heldBack += 1;
  }

  recordExpiry(call: number): void {
    this.unsettled -= 1;
    if (call >= this.first) this.expired += 1;
  }

  result(seconds: number): LoadResult {
    const { answered, refused, heldBack, expired } = this;
    return {
      offered: this.due.length - this.first,
      answered,
      refused,
      heldBack,
      expired,
      latency: quantiles(this.latencies.subarray(0, answered).sort()),
      answeredPerSecond: Math.round(answered / seconds),
      lateMs: round(this.lateMs / this.sent),
    };
  }
}

function quantiles(sorted: Float64Array): Latency {
  const at = (q: number): number =>
    round(sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN);
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), p999: at(0.999), max: at(1) };
}

function round(ms: number): number {
  return Number(ms.toFixed(3));
}
