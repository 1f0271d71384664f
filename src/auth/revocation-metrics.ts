import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { GapReason } from "../shared/bus/metrics.ts";
import type { RevocationFeed } from "./domain/revocation-feed.ts";

/** Shows how revocations spread. */
export interface RevocationMetrics {
  /** A revocation was applied here so many milliseconds, by two machines' clocks, after it was asked for. */
  applied(ageMs: number): void;
  missed(reason: GapReason): void;
  /** Revocations that some replica had left half done were carried out. */
  resumed(count: number): void;
  /** Shows the feed from now on. */
  watch(feed: Pick<RevocationFeed, "isFresh" | "position" | "watchers">): void;
}

export function createRevocationMetrics(registry: Registry): RevocationMetrics {
  const propagation = new Histogram({
    name: "revocation_propagation_seconds",
    help: "From when a revocation was asked for, on any replica, until this one has applied it.",
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [registry],
  });
  const gaps = new Counter({
    name: "revocation_feed_gaps_total",
    help: "Times that this replica missed revocations and forgot all that it remembered, by reason.",
    labelNames: ["reason"],
    registers: [registry],
  });
  const resumed = new Counter({
    name: "revocations_resumed_total",
    help: "Revocations that a replica had left half done, and this one carried out.",
    registers: [registry],
  });
  return {
    applied: (ageMs) => propagation.observe(Math.max(0, ageMs) / 1_000),
    missed: (reason) => gaps.inc({ reason }),
    resumed: (count) => resumed.inc(count),
    watch(feed) {
      new Gauge({
        name: "revocation_feed_fresh",
        help: "Whether this replica has applied all that was announced until a moment ago: 1, or 0.",
        registers: [registry],
        collect() {
          this.set(Number(feed.isFresh()));
        },
      });
      new Gauge({
        name: "revocation_feed_position",
        help: "First number of the position up to which revocations are applied; on Redis, milliseconds since the epoch.",
        registers: [registry],
        collect() {
          this.set(Number.parseInt(feed.position ?? "0", 10));
        },
      });
      new Gauge({
        name: "revocation_watchers",
        help: "Streams of revocations that are served.",
        registers: [registry],
        collect() {
          this.set(feed.watchers);
        },
      });
    },
  };
}
