import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { ReadinessCheck } from "../shared/lifecycle/readiness.ts";
import { ServiceError } from "../shared/service-error.ts";
import { watchPolicyDirectory } from "./adapters/policy-watcher.ts";
import type { CedarControl } from "./control/cedar-control.ts";
import type { ActivePolicies } from "./domain/active-policies.ts";
import { buildSnapshot, type LoadedPolicies, revisionId } from "./domain/build-snapshot.ts";
import type { PolicyLifecycle } from "./domain/policy-lifecycle.ts";
import type { PolicyMetrics } from "./policy-metrics.ts";
import type { PolicySourceFeed } from "./policy-source-feed.ts";

/** Wait before the store is asked again, in milliseconds. */
const retryMs = 500;

export interface PolicyDirectorySourceOptions {
  readonly directory: string;
  readonly strictForbid: boolean;
  readonly control: CedarControl;
  readonly policies: ActivePolicies;
  readonly lifecycle: PolicyLifecycle;
  /** Holds as soon as a policy set is active; its detail tells of newer ones that could not be loaded. */
  readonly check: ReadinessCheck;
  readonly metrics: PolicyMetrics;
  readonly logger: Logger;
}

/** Keeps the active policies those of a directory. What cannot be loaded is told, and the last good set stays active. */
export function followPolicyDirectory(options: PolicyDirectorySourceOptions): PolicySourceFeed {
  const { directory, strictForbid, control, policies, lifecycle, check, metrics, logger } = options;
  const ending = new AbortController();
  let sequence = 0;
  let activating: Promise<void> = Promise.resolve();

  function onChange(loaded: LoadedPolicies & { readonly warnings: readonly { readonly message: string }[] }): void {
    sequence += 1;
    const own = sequence;
    const snapshot = buildSnapshot(loaded, revisionId(own, loaded.contentHash), { strictForbid });
    for (const { message } of loaded.warnings) logger.warn({ directory }, `policies: ${message}`);
    activating = activate();

    /** Without the store nothing is known of the entities that were put: it is waited for. */
    async function activate(): Promise<void> {
      while (own === sequence && !ending.signal.aborted) {
        try {
          return await lifecycle.activateLoaded(snapshot);
        } catch (error) {
          onError(error as Error);
          if (!(error instanceof ServiceError) || error.code !== "UNAVAILABLE") return;
          await sleep(retryMs, undefined, { signal: ending.signal }).catch(() => undefined);
        }
      }
    }
  }

  function onError(error: Error): void {
    metrics.loadFailed();
    const { active } = policies;
    const detail =
      active === undefined
        ? `no policies are loaded: ${error.message}`
        : `revision ${active.revision} stays active, newer policies were refused: ${error.message}`;
    check.set(active !== undefined, detail);
    logger.error({ directory }, detail);
  }

  const watcher = watchPolicyDirectory({ directory, control, onChange, onError });
  return {
    firstLoad: watcher.firstLook.then(() => Promise.race([activating, sleep(retryMs * 4, undefined, { ref: false })])),
    close() {
      ending.abort();
      watcher.close();
    },
  };
}
