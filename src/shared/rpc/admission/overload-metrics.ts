import { Counter, Gauge, type Registry } from "prom-client";
import type { Admission } from "./admission.ts";

/** Registers what an admission tells. It is read at a scrape. */
export function observeAdmission(registry: Registry, admission: Admission): void {
  const registers = [registry];
  const shed = new Counter({
    name: "service_calls_shed_total",
    help: "Calls and streams refused under overload: the queue was full, or they had waited for too long.",
    labelNames: ["cause"],
    registers,
    collect() {
      this.reset();
      for (const [cause, calls] of Object.entries(admission.shed)) this.inc({ cause }, calls);
    },
  });
  const expired = new Counter({
    name: "service_calls_expired_total",
    help: "Calls not begun, as their deadline had passed or their caller was gone.",
    registers,
    collect() {
      this.reset();
      this.inc(admission.expired);
    },
  });
  const queued = new Gauge({
    name: "service_calls_queued",
    help: "Calls that wait for their turn.",
    registers,
    collect() {
      this.set(admission.queued);
    },
  });
  const inFlight = new Gauge({
    name: "service_calls_in_flight",
    help: "Unary calls that are being worked on.",
    registers,
    collect() {
      this.set(admission.inFlight);
    },
  });
  const delay = new Gauge({
    name: "service_queue_delay_seconds",
    help: "Longest time that a call waited for its turn in the last half to one minute.",
    registers,
    collect() {
      this.set(admission.longestWaitMs / 1_000);
    },
  });
  const lag = new Gauge({
    name: "service_loop_lag_seconds",
    help: "How late the event loop is.",
    registers,
    collect() {
      this.set(admission.loopLagMs / 1_000);
    },
  });
  void [shed, expired, queued, inFlight, delay, lag];
}
