import { setTimeout as sleep } from "node:timers/promises";
import { ServiceError } from "../../shared/service-error.ts";

const maxAttempts = 20;
const longestPauseMs = 100;

/**
 * Tries a change that another replica may come before, with growing pauses so that all get their turn.
 *
 * @param attempt answers undefined when another came first; told how often it was tried.
 * @throws ServiceError ABORTED when others keep coming first.
 */
export async function untilFirst<T>(attempt: (tried: number) => Promise<T | undefined>): Promise<T> {
  for (let tried = 0; tried < maxAttempts; tried += 1) {
    if (tried > 1) await sleep(Math.random() * Math.min(longestPauseMs, 2 ** tried));
    const result = await attempt(tried);
    if (result !== undefined) return result;
  }
  throw new ServiceError("ABORTED", "Other changes kept coming first.", {
    reason: "CONCURRENT_CHANGE",
    retryAfterMs: 100,
  });
}
