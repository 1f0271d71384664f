import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { BusObserver } from "./metrics.ts";

/** Exports what the bus tells of itself. Topics and groups are names of the program's own. */
export function createBusMetrics(registry: Registry): BusObserver {
  const registers = [registry];
  const published = new Counter({
    name: "bus_published_total",
    help: "Messages published, by topic and whether the store took them (ok, error).",
    labelNames: ["topic", "result"],
    registers,
  });
  const publishSeconds = new Histogram({
    name: "bus_publish_duration_seconds",
    help: "Time that a publish took, of one message or several.",
    labelNames: ["topic"],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
    registers,
  });
  const age = new Histogram({
    name: "bus_followed_age_seconds",
    help: "Age of a message when a follower had applied it, by the clocks of two machines.",
    labelNames: ["topic"],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    registers,
  });
  const gaps = new Counter({
    name: "bus_gaps_total",
    help: "Times that a follower had missed messages and had to read everything anew, by reason.",
    labelNames: ["topic", "reason"],
    registers,
  });
  const fresh = new Gauge({
    name: "bus_feed_fresh",
    help: "1 while a follower is confirmed to have seen everything, 0 while it is not.",
    labelNames: ["topic"],
    registers,
  });
  const handled = new Counter({
    name: "bus_handled_total",
    help: "Messages that a consumer has worked on, by result (ok, error).",
    labelNames: ["topic", "group", "result"],
    registers,
  });
  const buried = new Counter({
    name: "bus_dead_letters_total",
    help: "Messages that a consumer group has given up on.",
    labelNames: ["topic", "group"],
    registers,
  });
  const lag = new Gauge({
    name: "bus_group_lag",
    help: "Messages that a consumer group has yet to be given.",
    labelNames: ["topic", "group"],
    registers,
  });
  const pending = new Gauge({
    name: "bus_group_pending",
    help: "Messages that a consumer group was given and has not acknowledged.",
    labelNames: ["topic", "group"],
    registers,
  });
  const failures = new Counter({
    name: "bus_failures_total",
    help: "Failures of the store, a follower or a consumer that are tried again.",
    labelNames: ["topic"],
    registers,
  });
  const result = (ok: boolean): string => (ok ? "ok" : "error");
  return {
    published(topic, milliseconds, ok, count) {
      published.inc({ topic, result: result(ok) }, count);
      publishSeconds.observe({ topic }, milliseconds / 1_000);
    },
    followed: (topic, ageMs) => age.observe({ topic }, Math.max(0, ageMs) / 1_000),
    gap: (topic, reason) => gaps.inc({ topic, reason }),
    fresh: (topic, isFresh) => fresh.set({ topic }, isFresh ? 1 : 0),
    handled: (topic, group, _milliseconds, ok) => handled.inc({ topic, group, result: result(ok) }),
    deadLettered: (topic, group) => buried.inc({ topic, group }),
    group(topic, group, behind, open) {
      if (behind === undefined) lag.remove({ topic, group });
      else lag.set({ topic, group }, behind);
      pending.set({ topic, group }, open);
    },
    failed: (topic) => failures.inc({ topic }),
  };
}
