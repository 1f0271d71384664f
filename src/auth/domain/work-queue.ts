import { callerLeft, signInOverloaded } from "../errors.ts";

export interface WorkQueueOptions {
  /** Most tasks at once. */
  readonly concurrency: number;
  /** Most tasks waiting. */
  readonly maxQueued: number;
  /** How long a task takes before any has run, in milliseconds. */
  readonly expectedMs: number;
}

/** Bounds costly work: a few tasks run, a few more wait in order, the rest are refused at once. */
export interface WorkQueue {
  readonly running: number;
  readonly queued: number;
  /** Refuses as `run` would now, before there is a task: what leads up to it costs something too. */
  assertRoom(): void;
  /**
   * Runs a task when its turn comes; one whose caller has left by then does not run.
   *
   * @throws ServiceError RESOURCE_EXHAUSTED (reason SIGN_IN_OVERLOADED) with the time until a place should be free;
   *   CANCELLED when `signal` aborts while waiting.
   */
  run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

export function createWorkQueue({ concurrency, maxQueued, expectedMs }: WorkQueueOptions): WorkQueue {
  // A set keeps the order of insertion and lets a waiter that gives up leave from the middle.
  const waiting = new Set<() => void>();
  let running = 0;
  let averageMs = expectedMs;

  /** Time until all who wait now have had their turn. */
  function expectedWaitMs(): number {
    return Math.ceil((averageMs * (waiting.size + 1)) / concurrency);
  }

  function turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const start = (): void => {
        signal?.removeEventListener("abort", leave);
        waiting.delete(start);
        resolve();
      };
      const leave = (): void => {
        waiting.delete(start);
        reject(callerLeft());
      };
      waiting.add(start);
      signal?.addEventListener("abort", leave, { once: true });
    });
  }

  return {
    get running() {
      return running;
    },
    get queued() {
      return waiting.size;
    },
    assertRoom() {
      if (running >= concurrency && waiting.size >= maxQueued) throw signInOverloaded(expectedWaitMs());
    },
    async run(task, signal) {
      if (signal?.aborted) throw callerLeft();
      if (running < concurrency) running += 1;
      else if (waiting.size >= maxQueued) throw signInOverloaded(expectedWaitMs());
      // The place is handed over, so that nobody slips in between.
      else await turn(signal);
      const start = performance.now();
      try {
        return await task();
      } finally {
        averageMs += (performance.now() - start - averageMs) / 8;
        const [next] = waiting;
        if (next === undefined) running -= 1;
        else next();
      }
    },
  };
}
