import { setTimeout as sleep } from "node:timers/promises";

/** Waits before the n-th attempt anew (from 1): 50 ms, doubling up to `maxMs`, less up to half of it at random. */
export async function backOff(attempt: number, maxMs: number, signal: AbortSignal): Promise<void> {
  const full = Math.min(maxMs, 50 * 2 ** Math.min(attempt - 1, 20));
  await pause(full * (1 - Math.random() / 2), signal);
}

/** Waits, or returns at once when aborted. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => undefined);
}

/** Calls until it succeeds, or is aborted: then answers false. */
export async function untilDone(
  work: () => unknown,
  options: { readonly signal: AbortSignal; readonly maxWaitMs: number; readonly onError: (error: unknown) => void },
): Promise<boolean> {
  for (let attempt = 1; !options.signal.aborted; attempt += 1) {
    try {
      const result = work();
      // Awaiting only what needs it keeps synchronous work off the microtask queue.
      if (result instanceof Promise) await result;
      return true;
    } catch (error) {
      if (options.signal.aborted) return false;
      options.onError(error);
      await backOff(attempt, options.maxWaitMs, options.signal);
    }
  }
  return false;
}
