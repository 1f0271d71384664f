import { Counter, type Registry } from "prom-client";
import type { LockoutObserver } from "./domain/lockout.ts";

/** Counts delays that begin and attempts that are refused for one, by what failures were counted for. */
export function observeLockout(registry: Registry): LockoutObserver {
  const delays = new Counter({
    name: "lockout_delays_total",
    help: "Delays that a failed sign-in began: for its name, its second factor or its network.",
    labelNames: ["kind"],
    registers: [registry],
  });
  const refusals = new Counter({
    name: "lockout_refusals_total",
    help: "Attempts to sign in that were refused for too many failures.",
    labelNames: ["kind"],
    registers: [registry],
  });
  return {
    delayed: (kind) => delays.inc({ kind }),
    refused: (kind) => refusals.inc({ kind }),
  };
}
