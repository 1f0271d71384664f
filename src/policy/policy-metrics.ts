import { Counter, Gauge, type Registry } from "prom-client";
import type { Evaluation } from "./cedar/engine.ts";
import type { DecisionObserver } from "./domain/decision-observer.ts";

/** Metrics of policy-service beside those that every service has. */
export interface PolicyMetrics extends DecisionObserver {
  /** A policy set was made active. */
  activated(policyCount: number, entityCount: number): void;
  /** An attempt to load policies failed; the last good set stays active. */
  loadFailed(): void;
}

export function createPolicyMetrics(registry: Registry): PolicyMetrics {
  const registers = [registry];
  /** Decisions of streams since the last scrape: a counter's own cost would be felt there. */
  const tally = { allow: 0, deny: 0, indeterminate: 0, errors: 0 };
  function flush(): void {
    for (const outcome of ["allow", "deny", "indeterminate"] as const) outcomes[outcome].inc(tally[outcome]);
    failures.inc(tally.errors);
    Object.assign(tally, { allow: 0, deny: 0, indeterminate: 0, errors: 0 });
  }
  const decisions = new Counter({
    name: "policy_decisions_total",
    help: "Decisions by outcome: allow, deny, or deny because evaluation was indeterminate.",
    labelNames: ["outcome"],
    registers,
    collect: flush,
  });
  const failures = new Counter({
    name: "policy_evaluation_errors_total",
    help: "Policies that failed during evaluation and were skipped or, in strict mode, denied.",
    registers,
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
  const policies = new Gauge({ name: "policy_active_policies", help: "Policies in the active set.", registers });
  const entities = new Gauge({ name: "policy_resident_entities", help: "Entities held in memory.", registers });
  const activeTime = new Gauge({
    name: "policy_activation_timestamp_seconds",
    help: "When the active set was activated, in seconds since the epoch.",
    registers,
  });
  const outcomes = {
    allow: decisions.labels({ outcome: "allow" }),
    deny: decisions.labels({ outcome: "deny" }),
    indeterminate: decisions.labels({ outcome: "indeterminate" }),
  };
  return {
    decided(_snapshot, _query, evaluation): void {
      outcomes[outcomeOf(evaluation)].inc();
      if (evaluation.errors.length > 0) failures.inc(evaluation.errors.length);
    },
    tallied({ allow, indeterminate, errors }): void {
      if (allow) tally.allow += 1;
      else if (indeterminate) tally.indeterminate += 1;
      else tally.deny += 1;
      tally.errors += errors.length;
    },
    activated(policyCount, entityCount): void {
      loads.inc({ result: "ok" });
      stale.set(0);
      policies.set(policyCount);
      entities.set(entityCount);
      activeTime.set(Date.now() / 1_000);
    },
    loadFailed(): void {
      loads.inc({ result: "error" });
      stale.set(1);
    },
  };
}

function outcomeOf({ decision, indeterminate }: Evaluation): "allow" | "deny" | "indeterminate" {
  if (decision === "ALLOW") return "allow";
  return indeterminate ? "indeterminate" : "deny";
}
