import { createRandom, quantile } from "./random.ts";

export interface FanOutOptions {
  readonly replicas: number;
  /** Revocations a second. */
  readonly rate: number;
  readonly seconds: number;
  /** Redis' time for one read that is answered with messages, in µs. */
  readonly readMicros: number;
  /** Redis' further time for each message in it, in µs. */
  readonly messageMicros: number;
  /** One way between a replica and Redis: median in ms; one in a hundred takes ten times as long. */
  readonly networkMs: number;
}

export interface FanOut {
  /** From the publishing to the application on a replica, in ms. */
  readonly p50: number;
  readonly p99: number;
  /** Until the last of the replicas has it, in ms, at worst. */
  readonly slowest: number;
  /** Share of one core that Redis is busy for. */
  readonly busy: number;
  /** Messages that a read brings on average. */
  readonly batch: number;
}

/**
 * Simulates one topic that every replica follows by blocking reads, as src/shared/bus does. Redis is one queue: it answers the
 * readers that wait, one after the other. A replica applies what it got and asks again; what is published meanwhile comes
 * with its next read, so that load makes batches rather than queues without end.
 */
export function simulateFanOut(options: FanOutOptions): FanOut {
  const { replicas, rate, seconds, readMicros, messageMicros, networkMs } = options;
  const random = createRandom(7);
  const uniform = (): number => (random() + 0.5) / 2 ** 32;
  const network = (): number => networkMs * (uniform() < 0.01 ? 10 : 0.75 + 0.5 * uniform());
  const published: number[] = [];
  for (let time = 0; time < seconds * 1_000; ) {
    time -= (Math.log(uniform()) * 1_000) / rate;
    published.push(time);
  }
  /** When each replica's next read arrives at Redis, and what it has. */
  const asksAt = new Float64Array(replicas);
  const has = new Uint32Array(replicas);
  const delays: number[] = [];
  const completed = new Float64Array(published.length);
  let free = 0;
  let busyMs = 0;
  let reads = 0;
  for (let done = 0; done < replicas; ) {
    // The reader whose answer can begin first: it has asked, and there is something that it does not have.
    let best = -1;
    let bestAt = Number.POSITIVE_INFINITY;
    done = 0;
    for (let replica = 0; replica < replicas; replica += 1) {
      const waited = published[has[replica]!];
      if (waited === undefined) {
        done += 1;
        continue;
      }
      const at = Math.max(asksAt[replica]!, waited);
      if (at < bestAt) {
        bestAt = at;
        best = replica;
      }
    }
    if (best === -1) break;
    const start = Math.max(bestAt, free);
    let count = 0;
    while (count < 256 && (published[has[best]! + count] ?? Number.POSITIVE_INFINITY) <= start) count += 1;
    const work = (readMicros + messageMicros * count) / 1_000;
    free = start + work;
    busyMs += work;
    reads += 1;
    const applied = free + network();
    for (let message = has[best]!; message < has[best]! + count; message += 1) {
      delays.push(applied - published[message]!);
      completed[message] = Math.max(completed[message]!, applied);
    }
    has[best] = has[best]! + count;
    asksAt[best] = applied + network();
  }
  const sorted = Float64Array.from(delays).sort();
  const slowest = published.reduce((worst, time, message) => Math.max(worst, completed[message]! - time), 0);
  return {
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    slowest,
    busy: busyMs / Math.max(free, seconds * 1_000),
    batch: delays.length / reads,
  };
}
