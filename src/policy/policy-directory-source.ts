import type { Logger } from "pino";
import type { ReadinessCheck } from "../shared/lifecycle/readiness.ts";
import { watchPolicyDirectory } from "./adapters/policy-watcher.ts";
import type { CedarControl } from "./control/cedar-control.ts";
import type { ActivePolicies } from "./domain/active-policies.ts";
import { buildSnapshot, type LoadedPolicies } from "./domain/build-snapshot.ts";
import type { PolicyMetrics } from "./policy-metrics.ts";

export interface PolicyDirectorySourceOptions {
  readonly directory: string;
  readonly strictForbid: boolean;
  readonly control: CedarControl;
  readonly policies: ActivePolicies;
  /** Holds as soon as a policy set is active; its detail tells of newer ones that could not be loaded. */
  readonly check: ReadinessCheck;
  readonly metrics: PolicyMetrics;
  readonly logger: Logger;
}

/** The active policies as those of a directory. */
export interface PolicyDirectorySource {
  /** Fulfilled once the directory has been looked at, whether or not it could be loaded. */
  firstLoad(): Promise<void>;
  close(): void;
}

/** Keeps the active policies those of a directory. What cannot be loaded is told, and the last good set stays active. */
export function followPolicyDirectory(options: PolicyDirectorySourceOptions): PolicyDirectorySource {
  const { directory, strictForbid, control, policies, check, metrics, logger } = options;
  let sequence = 0;

  function onChange(loaded: LoadedPolicies & { readonly warnings: readonly { readonly message: string }[] }): void {
    sequence += 1;
    const snapshot = buildSnapshot(loaded, sequence, { strictForbid });
    policies.activate(snapshot);
    const { policySet, entities } = snapshot.engine;
    const counts = { policies: policySet.policyIds.length, entities: entities.size };
    metrics.activated(counts.policies, counts.entities);
    check.set(true, `revision ${snapshot.revision}`);
    for (const { message } of loaded.warnings) logger.warn({ directory }, `policies: ${message}`);
    logger.info({ directory, revision: snapshot.revision, ...counts }, "policies are active");
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
  return { firstLoad: () => watcher.check(), close: () => watcher.close() };
}
