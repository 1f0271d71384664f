import { Gauge, type Registry } from "prom-client";
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
