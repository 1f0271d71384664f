import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { ReadinessCheck } from "../shared/lifecycle/readiness.ts";
import { type PolicyFiles, readPolicyFiles } from "./adapters/policy-files.ts";
import type { EntityJson } from "./cedar/types.ts";
import type { ActivePolicies } from "./domain/active-policies.ts";
import { parseExactJson } from "./domain/exact-json.ts";
import type { PolicyLifecycle } from "./domain/policy-lifecycle.ts";
import type { PolicySource } from "./domain/policy-source.ts";
import type { ResidentEntities } from "./domain/resident-entities.ts";
import type { PolicyMetrics } from "./policy-metrics.ts";
import type { PolicySourceFeed } from "./policy-source-feed.ts";

/** Wait before the store is asked again, in milliseconds. */
const retryMs = 500;

export interface PolicyStoreSourceOptions {
  /** Policies to begin with while none was ever activated; empty for none. */
  readonly seedDirectory: string;
  readonly skipFailingForbids: boolean;
  readonly policies: ActivePolicies;
  readonly lifecycle: PolicyLifecycle;
  readonly entities: ResidentEntities;
  /** Holds as soon as a policy set is active. */
  readonly check: ReadinessCheck;
  readonly metrics: PolicyMetrics;
  readonly logger: Logger;
}

/** Takes the active policies from the store; changes come by the lifecycle. */
export function usePolicyStore(options: PolicyStoreSourceOptions): PolicySourceFeed {
  const { seedDirectory, policies, lifecycle, entities, check, metrics, logger } = options;
  const ending = new AbortController();
  check.set(false, "no policy revision is active yet");

  async function load(): Promise<void> {
    for (;;) {
      try {
        await lifecycle.refresh();
        if (policies.active === undefined && seedDirectory !== "") await seed();
        return;
      } catch (error) {
        metrics.loadFailed();
        const detail = `no policies are loaded: ${(error as Error).message}`;
        check.set(policies.active !== undefined, detail);
        logger.error(detail);
        await sleep(retryMs, undefined, { signal: ending.signal }).catch(() => undefined);
        if (ending.signal.aborted) return;
      }
    }
  }

  async function seed(): Promise<void> {
    const files = await readPolicyFiles(seedDirectory);
    const source = toSource(files, options.skipFailingForbids);
    const { revision } = await lifecycle.publish(source, `from ${seedDirectory}`);
    await lifecycle.activate(revision.id);
    const puts = files.entities.flatMap(({ text }) => parseExactJson(text) as unknown as EntityJson[]);
    if (puts.length > 0) await entities.change({ puts, deletes: [] });
    logger.info({ directory: seedDirectory, revision: revision.id }, "the first policies came from a directory");
  }

  const loading = load();
  return {
    firstLoad: Promise.race([loading, sleep(retryMs * 4, undefined, { ref: false })]),
    close: () => ending.abort(),
  };
}

function toSource({ policies, schema, links }: PolicyFiles, skipFailingForbids: boolean): PolicySource {
  return { files: policies, schema: schema?.text ?? "", links: links?.text ?? "", skipFailingForbids };
}
