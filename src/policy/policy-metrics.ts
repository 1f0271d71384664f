import { Counter, Gauge, type Registry } from "prom-client";
import type { DecisionObserver } from "./domain/decision-observer.ts";
import type { Shadow } from "./domain/shadow.ts";

/** Metrics of policy-service beside those that every service has. */
export interface PolicyMetrics extends DecisionObserver {
  /** A policy set was made active. */
  activated(revision: string, policyCount: number): void;
  /** The resident entities are others now, with other policies or without. */
  entitiesChanged(entityCount: number, revision: number): void;
  /** An attempt to load policies failed; the last good set stays active. */
  loadFailed(): void;
  /** Whether changes made on other replicas are being followed. */
  feedFresh(fresh: boolean): void;
  /** Counts of the shadow, read at each scrape. */
  observeShadow(shadow: Shadow): void;
}

export function createPolicyMetrics(registry: Registry): PolicyMetrics {
  const registers = [registry];
  /** What has been counted since the start: a counter's own cost would be felt in streams. */
  const tally = { allow: 0, deny: 0, indeterminate: 0, failures: 0 };
  new Counter({
    name: "policy_decisions_total",
    help: "Decisions by outcome: allow, deny, or deny because evaluation was indeterminate.",
    labelNames: ["outcome"],
    registers,
    collect() {
      this.reset();
      for (const outcome of ["allow", "deny", "indeterminate"] as const) this.inc({ outcome }, tally[outcome]);
    },
  });
  new Counter({
    name: "policy_evaluation_errors_total",
    help: "Policies that failed during evaluation and were skipped or, in strict mode, denied.",
    registers,
    collect() {
      this.reset();
      this.inc(tally.failures);
    },
  });
  const loads = new Counter({
    name: "policy_loads_total",
    help: "Attempts to load policies by result.",
    labelNames: ["result"],
    registers,
  });
  const stale = new Gauge({
    name: "policy_load_failed",
    help: "1 while the newest policies could not be loaded and older ones are in force.",
    registers,
  });
  const revisions = new Gauge({
    name: "policy_active_revision",
    help: "1 for the policy revision in force, which is the label; the same on all replicas once they agree.",
    labelNames: ["revision"],
    registers,
  });
  const policies = new Gauge({ name: "policy_active_policies", help: "Policies in the active set.", registers });
  const entities = new Gauge({ name: "policy_resident_entities", help: "Entities held in memory.", registers });
  const entityRevision = new Gauge({
    name: "policy_entity_revision",
    help: "Changes that the resident entities have seen; the same on all replicas once they agree.",
    registers,
  });
  const stalled = new Gauge({
    name: "policy_feed_stale",
    help: "1 while changes made on other replicas cannot be followed.",
    registers,
  });
  const activeTime = new Gauge({
    name: "policy_activation_timestamp_seconds",
    help: "When the active set was activated, in seconds since the epoch.",
    registers,
  });
  return {
    decided(allow, indeterminate, failed): void {
      if (allow) tally.allow += 1;
      else if (indeterminate) tally.indeterminate += 1;
      else tally.deny += 1;
      tally.failures += failed;
    },
    activated(revision, policyCount): void {
      revisions.reset();
      revisions.set({ revision }, 1);
      loads.inc({ result: "ok" });
      stale.set(0);
      policies.set(policyCount);
      activeTime.set(Date.now() / 1_000);
    },
    entitiesChanged(entityCount, revision): void {
      entities.set(entityCount);
      entityRevision.set(revision);
    },
    feedFresh: (fresh) => stalled.set(fresh ? 0 : 1),
    observeShadow(shadow): void {
      new Counter({
        name: "policy_shadow_evaluations_total",
        help: "Requests offered to the shadow revision: evaluated alike, decided differently, or skipped to bound the work.",
        labelNames: ["result"],
        registers,
        collect() {
          const { evaluated, different, skipped } = shadow.totals;
          this.reset();
          this.inc({ result: "same" }, evaluated - different);
          this.inc({ result: "different" }, different);
          this.inc({ result: "skipped" }, skipped);
        },
      });
    },
    loadFailed(): void {
      loads.inc({ result: "error" });
      stale.set(1);
    },
  };
}
