import { Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from "prom-client";
import { version } from "../version.ts";
import { CallMetrics, type Sample } from "./call-metrics.ts";

/** State of a circuit breaker as `circuit_breaker_state` shows it. */
export type BreakerState = "closed" | "open" | "half-open";

const breakerValues: Readonly<Record<BreakerState, number>> = { closed: 0, open: 1, "half-open": 2 };

/** Hits and misses of one cache. */
export interface CacheMetrics {
  hit(): void;
  miss(): void;
}

/** The metrics of one service. Every series carries the label `service`; no label takes a caller's value. */
export interface Metrics {
  /** For metrics of a service's own. */
  readonly registry: Registry;
  /** Calls of a method, by its full name. One and the same object for the same name. */
  calls(method: string): CallMetrics;
  connectionOpened(): void;
  connectionClosed(): void;
  /** Shows the state of the breaker around a target, for example `policy`. */
  breakerState(target: string, state: BreakerState): void;
  /** Counts for `cache_hit_rate`. One and the same object for the same name. */
  cache(name: string): CacheMetrics;
  /** Renders all of it in the Prometheus text format 0.0.4. */
  render(): Promise<string>;
}

export interface MetricsOptions {
  /** Value of the label `service`. */
  readonly service: string;
  /** Whether to collect process and event-loop metrics too. Default: true. */
  readonly process?: boolean;
}

/** Creates the metrics of a service, under the names that DESIGN promises. */
export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ service: options.service });
  if (options.process !== false) collectDefaultMetrics({ register: registry });

  const methods = new Map<string, CallMetrics>();
  register(registry, "service_requests_total", "Finished calls by method and status code.", "counter", () =>
    [...methods.values()].flatMap((method) => [...method.requests()]),
  );
  const durationName = "service_request_duration_seconds";
  register(registry, durationName, "Duration of calls in seconds; of a stream, its life.", "histogram", () =>
    [...methods.values()].flatMap((method) => [...method.durations(durationName)]),
  );
  new Gauge({
    name: "service_build_info",
    help: "1, with the version of the service and of Node in its labels.",
    labelNames: ["version", "node"],
    registers: [registry],
  }).set({ version, node: process.version }, 1);
  const connections = new Gauge({
    name: "service_active_connections",
    help: "Open connections on the gRPC port and the HTTP edge.",
    registers: [registry],
  });
  const breakers = new Gauge({
    name: "circuit_breaker_state",
    help: "State of the circuit breaker around a target: 0 closed, 1 open, 2 half-open.",
    labelNames: ["target"],
    registers: [registry],
  });
  const caches = createCaches(registry);

  return {
    registry,
    calls(method) {
      const metrics = methods.get(method) ?? new CallMetrics(method);
      methods.set(method, metrics);
      return metrics;
    },
    connectionOpened: () => connections.inc(),
    connectionClosed: () => connections.dec(),
    breakerState: (target, state) => breakers.set({ target }, breakerValues[state]),
    cache: caches,
    render: () => registry.metrics(),
  };
}

/** Registers a metric that is rendered from what `collect` answers, without prom-client's cost for each observation. */
function register(registry: Registry, name: string, help: string, type: string, collect: () => Sample[]): void {
  const get = async (): Promise<object> => ({ name, help, type, aggregator: "sum", values: collect() });
  registry.registerMetric({ name, help, type, get, reset: () => {} } as unknown as Metric);
}

function createCaches(registry: Registry): (name: string) => CacheMetrics {
  const counts = new Map<string, CacheMetrics & { hits: number; misses: number }>();
  const lookups = new Counter({
    name: "cache_lookups_total",
    help: "Lookups in a cache by result.",
    labelNames: ["cache", "result"],
    registers: [registry],
    collect() {
      this.reset();
      for (const [cache, { hits, misses }] of counts) {
        this.inc({ cache, result: "hit" }, hits);
        this.inc({ cache, result: "miss" }, misses);
      }
    },
  });
  void lookups;
  const rate = new Gauge({
    name: "cache_hit_rate",
    help: "Share of lookups in a cache that hit, from 0 to 1, since the start.",
    labelNames: ["cache"],
    registers: [registry],
    collect() {
      for (const [cache, { hits, misses }] of counts) {
        if (hits + misses > 0) this.set({ cache }, hits / (hits + misses));
      }
    },
  });
  void rate;
  return (name) => {
    let entry = counts.get(name);
    if (entry === undefined) {
      entry = {
        hits: 0,
        misses: 0,
        hit() {
          this.hits += 1;
        },
        miss() {
          this.misses += 1;
        },
      };
      counts.set(name, entry);
    }
    return entry;
  };
}
