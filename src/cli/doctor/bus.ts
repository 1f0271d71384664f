import { type Finding, type Findings, findingsOf } from "./finding.ts";
import { metricsOf } from "./judge-replica.ts";
import type { MetricsText } from "./metrics-text.ts";
import type { Probe } from "./probe.ts";

/** Messages that a consumer group may be behind. */
const groupLagWarning = 1_000;
/** How far apart replicas may be in what they have applied, in milliseconds. */
const behindMs = 10_000;
/** Positions on Redis are milliseconds since the epoch; those of the embedded store, small numbers. */
const firstTime = 1e12;

/** Whether every replica follows the bus, and they are equally far in it. */
export function judgeBus(probes: readonly Probe[]): Finding[] {
  const findings: Finding[] = [];
  const positions: number[] = [];
  for (const probe of probes) {
    const metrics = metricsOf(probe);
    if (metrics === undefined) continue;
    judgeFeeds(metrics, findingsOf(probe.replica.label, findings));
    const position = metrics.value("revocation_feed_position") ?? 0;
    if (position > firstTime) positions.push(position);
  }
  const apart = Math.max(...positions) - Math.min(...positions);
  if (positions.length > 1 && apart > behindMs) {
    findingsOf("all replicas", findings).problem(
      "revocations",
      `a replica is ${Math.round(apart / 1_000)} s behind in the revocations that it has applied`,
      "See which by revocation_feed_position, and whether it reaches Redis; restarting it makes it read everything anew.",
    );
  }
  return findings;
}

function judgeFeeds(metrics: MetricsText, say: Findings): void {
  const feeds = metrics.all("bus_feed_fresh", "topic");
  const stale = feeds.filter(([, fresh]) => fresh === 0).map(([topic]) => topic);
  if (metrics.value("revocation_feed_fresh") === 0 && !stale.includes("revocations")) stale.push("revocations");
  if (stale.length > 0) {
    say.problem(
      "bus",
      `does not hear of changes on other replicas: ${stale.join(", ")}`,
      "Check that it reaches Redis (REDIS_URL, NetworkPolicy) and that Redis answers. Until then it does without what it has cached.",
    );
  } else if (feeds.length > 0) {
    const [sum, count] = ["sum", "count"].map((part) => metrics.value(`bus_followed_age_seconds_${part}`) ?? 0);
    const age = count ? `, ${(((sum ?? 0) / count) * 1_000).toFixed(0)} ms after they were published on average` : "";
    say.ok("bus", `follows ${feeds.map(([topic]) => topic).join(", ")}${age}`);
  }
  for (const [group, lag] of metrics.all("bus_group_lag", "group")) {
    if (lag > groupLagWarning) {
      say.warning("bus", `consumers ${group} are ${lag} messages behind`, "See that they run, and add some.");
    }
  }
}
