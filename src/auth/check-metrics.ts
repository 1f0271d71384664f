import { Counter, Gauge, type Registry } from "prom-client";
import type { Verdict } from "./check/checker.ts";

/** Counts of Check. */
export interface CheckMetrics {
  observe(outcome: Verdict["kind"]): void;
  /** Tells whether the mapping file of now is the one in force. */
  mappingInForce(isCurrent: boolean): void;
}

export function createCheckMetrics(registry: Registry): CheckMetrics {
  const requests = new Counter({
    name: "check_requests_total",
    help: "Requests that proxies asked about, by what became of them.",
    labelNames: ["outcome"],
    registers: [registry],
  });
  const stale = new Gauge({
    name: "check_mapping_stale",
    help: "1 while the mapping file has faults and the one before it is in force.",
    registers: [registry],
  });
  return {
    observe: (outcome) => requests.inc({ outcome }),
    mappingInForce: (isCurrent) => stale.set(isCurrent ? 0 : 1),
  };
}
