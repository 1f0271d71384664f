import { Counter, Gauge, type Registry } from "prom-client";
import { ServiceError } from "../shared/service-error.ts";
import type { Verifier } from "./domain/credentials/credential.ts";
import type { WorkQueue } from "./domain/work-queue.ts";

/** Shows how many passwords are being hashed and how many wait. */
export function observeSignIns(registry: Registry, queue: WorkQueue): void {
  new Gauge({
    name: "password_hashes",
    help: "Passwords being hashed, and waiting to be.",
    labelNames: ["state"],
    registers: [registry],
    collect() {
      this.set({ state: "running" }, queue.running);
      this.set({ state: "queued" }, queue.queued);
    },
  });
}

/** Counts sign-ins by what became of them: `accepted`, or the reason of the refusal (docs/errors.md). */
export function countSignIns(registry: Registry, verify: Verifier<"password">): Verifier<"password"> {
  const signIns = new Counter({
    name: "sign_ins_total",
    help: "Attempts to sign in with a password, by result: accepted, or the reason of the refusal.",
    labelNames: ["result"],
    registers: [registry],
  });
  return async (credential, attempt) => {
    try {
      const authentication = await verify(credential, attempt);
      signIns.inc({ result: "accepted" });
      return authentication;
    } catch (error) {
      signIns.inc({ result: error instanceof ServiceError ? error.reason : "INTERNAL" });
      throw error;
    }
  };
}
