import type { Logger } from "pino";
import type { RevocationFeed } from "./domain/revocation-feed.ts";
import type { Revocations } from "./domain/revocations.ts";
import type { RevocationMetrics } from "./revocation-metrics.ts";

/** How often each replica looks for revocations that another has left half done, in milliseconds. */
const resumeIntervalMs = 1_000;

export interface FollowRevocationsOptions {
  readonly feed: RevocationFeed;
  readonly revocations: Revocations;
  readonly metrics: RevocationMetrics;
  readonly logger: Logger;
}

/** Follows what other replicas revoke, and finishes what they could not. */
export function followRevocations({ feed, revocations, metrics, logger }: FollowRevocationsOptions): {
  close(): Promise<void>;
} {
  let running: Promise<void> | undefined;

  async function resume(): Promise<void> {
    try {
      const count = await revocations.resume();
      if (count === 0) return;
      metrics.resumed(count);
      logger.warn({ count }, "revocations that were left half done have been carried out");
    } catch (error) {
      logger.warn({ err: error }, "revocations that were left half done cannot be carried out");
    }
  }

  feed.start();
  const timer = setInterval(() => {
    running ??= resume().finally(() => {
      running = undefined;
    });
  }, resumeIntervalMs).unref();

  return {
    async close() {
      clearInterval(timer);
      await running;
      await feed.close();
    },
  };
}
