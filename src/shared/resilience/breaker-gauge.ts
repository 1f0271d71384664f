import { Gauge, type Registry } from "prom-client";
import type { BreakerState, ResilienceObserver } from "./resilience.ts";

const gaugeValues: Readonly<Record<BreakerState, number>> = { closed: 0, open: 1, "half-open": 2 };

/** Shows the state of a service's circuit breakers as `circuit_breaker_state`: 0 closed, 1 open, 2 half-open. */
export function createBreakerGauge(registry: Registry, service: string): ResilienceObserver {
  const gauge = new Gauge({
    name: "circuit_breaker_state",
    help: "State of the circuit breaker around a target: 0 closed, 1 open, 2 half-open.",
    labelNames: ["service", "target"],
    registers: [registry],
  });
  return {
    breakerState: (target, state) => gauge.set({ service, target }, gaugeValues[state]),
  };
}
