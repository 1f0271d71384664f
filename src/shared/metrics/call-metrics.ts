import { type StatusCode, statusCodes } from "../service-error.ts";

/** Upper bounds in seconds: the original ones from 1 ms up, finer ones below, where most calls are. */
export const durationBuckets: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
];

const bucketBoundsMs = Float64Array.from(durationBuckets, (seconds) => seconds * 1_000);
const codeNames = Object.keys(statusCodes) as StatusCode[];

/** What has been observed of one method. Plain arrays: recording costs a few nanoseconds, rendering waits for a scrape. */
export class CallMetrics {
  readonly method: string;
  private readonly codes = new Float64Array(codeNames.length);
  private readonly buckets = new Float64Array(bucketBoundsMs.length + 1);
  private totalMs = 0;

  constructor(method: string) {
    this.method = method;
  }

  /** Records one finished call: its status code and how long it took in milliseconds. */
  record(code: number, durationMs: number): void {
    this.codes[code]! += 1;
    this.totalMs += durationMs;
    let bucket = 0;
    while (bucket < bucketBoundsMs.length && durationMs > bucketBoundsMs[bucket]!) bucket += 1;
    this.buckets[bucket]! += 1;
  }

  /** Counts a call that was turned away unread. It has no duration: thousands of zeros would hide that of the others. */
  count(code: number): void {
    this.codes[code]! += 1;
  }

  /** Samples of `service_requests_total`. */
  *requests(): Generator<Sample> {
    for (const [index, code] of codeNames.entries()) {
      const value = this.codes[index]!;
      if (value > 0) yield { labels: { method: this.method, code }, value };
    }
  }

  /** Samples of `service_request_duration_seconds`: cumulative buckets, sum and count. None before the first call. */
  *durations(name: string): Generator<Sample> {
    const { method } = this;
    const count = this.buckets.reduce((sum, calls) => sum + calls, 0);
    if (count === 0) return;
    let cumulative = 0;
    for (const [index, bound] of [...durationBuckets, "+Inf"].entries()) {
      cumulative += this.buckets[index]!;
      yield { metricName: `${name}_bucket`, labels: { method, le: bound }, value: cumulative };
    }
    yield { metricName: `${name}_sum`, labels: { method }, value: this.totalMs / 1_000 };
    yield { metricName: `${name}_count`, labels: { method }, value: count };
  }
}

/** One line of the exposition, in prom-client's form. */
export interface Sample {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}
