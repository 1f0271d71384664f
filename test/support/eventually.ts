import { setTimeout as sleep } from "node:timers/promises";

/** Repeats assertions until they hold, and throws what they last threw when they do not within `timeoutMs`. */
export async function eventually(assertions: () => unknown, timeoutMs = 10_000): Promise<void> {
  for (const end = Date.now() + timeoutMs; ; await sleep(10)) {
    try {
      await assertions();
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}
