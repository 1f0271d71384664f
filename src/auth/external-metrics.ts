import { Counter, type Registry } from "prom-client";

/** Counts attempts to fetch the keys of issuers. */
export function createIssuerMetrics(registry: Registry): (issuer: string, outcome: "ok" | "failed") => void {
  const refreshes = new Counter({
    name: "issuer_key_refreshes_total",
    help: "Attempts to fetch the keys of an issuer by outcome: ok, failed.",
    labelNames: ["issuer", "outcome"],
    registers: [registry],
  });
  return (issuer, outcome) => refreshes.inc({ issuer, outcome });
}
