import type { Logger } from "pino";
import type { Bus } from "../shared/bus/bus.ts";
import { entities as entitiesTopic, policyRevisions } from "../shared/bus/topics.ts";
import { ServiceError } from "../shared/service-error.ts";
import type { PolicyLifecycle } from "./domain/policy-lifecycle.ts";
import type { ResidentEntities } from "./domain/resident-entities.ts";
import type { PolicyMetrics } from "./policy-metrics.ts";

/** How often a replica looks into the store by itself, in case an announcement was lost, in milliseconds. */
const refreshMs = 5_000;
/** How often a replica shares what its shadow has found. */
const shareMs = 1_000;

export interface FollowChangesOptions {
  readonly bus: Bus;
  readonly lifecycle: PolicyLifecycle;
  readonly entities: ResidentEntities;
  readonly metrics: PolicyMetrics;
  readonly logger: Logger;
}

/** Keeps this replica's policies and entities those of the store. */
export interface ChangeFollower {
  close(): Promise<void>;
}

export function followChanges({ bus, lifecycle, entities, metrics, logger }: FollowChangesOptions): ChangeFollower {
  const ending = new AbortController();
  const { signal } = ending;

  async function refreshAll(): Promise<void> {
    await lifecycle.refresh();
    await entities.refresh();
  }

  const followers = [
    bus.follow(policyRevisions, {
      after: "now",
      signal,
      onMessage: () => lifecycle.refresh(),
      onGap: refreshAll,
      onFresh: () => metrics.feedFresh(true),
      onStale: () => {
        metrics.feedFresh(false);
        logger.warn("changes of policies cannot be followed; those in force stay");
      },
    }),
    bus.follow(entitiesTopic, {
      after: "now",
      signal,
      onMessage: async ({ payload }) => {
        const { entityRevision, previousEntityRevision, put, deleted, everything } = payload;
        if (everything) return await entities.refresh();
        const change = { revision: Number(entityRevision), previous: Number(previousEntityRevision), put, deleted };
        try {
          await entities.follow(change);
        } catch (error) {
          // They may belong to policies that this replica has yet to hear of.
          if (!(error instanceof ServiceError) || error.code !== "INVALID_ARGUMENT") throw error;
          await lifecycle.refresh();
          await entities.follow(change);
        }
      },
      onGap: refreshAll,
    }),
  ];

  const every = (ms: number, what: string, work: () => Promise<void>): NodeJS.Timeout => {
    let running = false;
    return setInterval(() => {
      if (running) return;
      running = true;
      void work()
        .catch((error: unknown) => logger.warn({ err: error }, `${what} failed`))
        .finally(() => {
          running = false;
        });
    }, ms).unref();
  };
  const timers = [
    every(refreshMs, "looking for changes of policies", refreshAll),
    every(shareMs, "sharing the shadow's report", () => lifecycle.shareShadowReport()),
  ];

  return {
    async close() {
      for (const timer of timers) clearInterval(timer);
      ending.abort();
      await Promise.all(followers.map(({ closed }) => closed));
    },
  };
}
