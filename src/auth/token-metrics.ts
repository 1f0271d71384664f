import { Counter, type Registry } from "prom-client";
import type { Revocation } from "./domain/revocations.ts";
import type { RefreshOutcome } from "./domain/tokens/refresh-families.ts";

/** Counts what happens to tokens. */
export interface TokenMetrics {
  refreshed(outcome: RefreshOutcome["kind"]): void;
  revoked(kind: Revocation["kind"]): void;
}

export function createTokenMetrics(registry: Registry): TokenMetrics {
  const refreshes = new Counter({
    name: "token_refreshes_total",
    help: "Uses of refresh tokens by outcome: rotated, repeated within the grace, reused (the session has ended), unknown.",
    labelNames: ["outcome"],
    registers: [registry],
  });
  const revocations = new Counter({
    name: "token_revocations_total",
    help: "Revocations by what was revoked: token, session, user, client.",
    labelNames: ["kind"],
    registers: [registry],
  });
  return {
    refreshed: (outcome) => refreshes.inc({ outcome }),
    revoked: (kind) => revocations.inc({ kind }),
  };
}
