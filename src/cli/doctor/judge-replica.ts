import { type Finding, type Findings, findingsOf } from "./finding.ts";
import { type MetricsText, parseMetrics } from "./metrics-text.ts";
import type { Probe } from "./probe.ts";
import type { ServiceName } from "./replica.ts";

const contractOf: Readonly<Record<ServiceName, string>> = {
  "auth-service": "gatehouse.auth.v1.AuthService",
  "policy-service": "gatehouse.policy.v1.PolicyService",
};

/** Clocks further apart than this are worth mending; a Date header tells whole seconds only. */
const skewWarningMs = 2_000;
/** Beyond this, tokens of one machine are not yet, or no longer, valid on another. */
const skewProblemMs = 10_000;

/** What a replica is by itself. */
export function judgeReplica(probe: Probe): Finding[] {
  const findings: Finding[] = [];
  const say = findingsOf(probe.replica.label, findings);
  judgeGrpc(probe, say);
  judgeReadiness(probe, say);
  judgeMetrics(probe, say);
  judgeClock(probe, say);
  return findings;
}

function judgeGrpc({ replica, grpcPort, health, services }: Probe, say: Findings): void {
  const { service, address } = replica;
  if (!("value" in grpcPort)) {
    say.problem(
      "reachable",
      `nothing answers on the gRPC port ${replica.grpcPort} of ${address} (${grpcPort.failure})`,
      "Check that the pod runs and the address and port are right; from outside the cluster, forward the port with kubectl port-forward. A NetworkPolicy or a proxy may stand between.",
    );
    return;
  }
  if (!("value" in health)) {
    say.problem(
      "health",
      `the gRPC port answers, but not to grpc.health.v1 (${health.failure})`,
      "It may be another program's port, speak TLS (then give --tls), or be denied by an AuthorizationPolicy of the mesh.",
    );
  } else if (health.value) {
    say.ok("health", "serving");
  } else {
    say.problem("health", "not serving", "See readiness: what it waits for is named there.");
  }
  const wanted = contractOf[service];
  if (!("value" in services)) {
    say.warning(
      "reflection",
      `services cannot be listed (${services.failure})`,
      "In the mesh, reflection takes the identity of the service account gatehouse-admin (k8s/istio/authorization-policies.yaml).",
    );
  } else if (services.value.includes(wanted)) {
    say.ok("reflection", `serves ${wanted}`);
  } else {
    const other = Object.entries(contractOf).find(([, contract]) => services.value.includes(contract))?.[0];
    say.problem(
      "reflection",
      `is ${other ?? "another program"}, not ${service}`,
      `Give --${service === "auth-service" ? "auth" : "policy"} the port of ${service}.`,
    );
  }
}

interface Readyz {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, { readonly ready: boolean; readonly detail?: string }>>;
}

/** How to mend what a check of readiness waits for. */
const remedies: Readonly<Record<string, string>> = {
  store: "Check REDIS_URL and that Redis runs; without one, that DATA_DIR can be written.",
  policies:
    "Try the policies with `gatehouse policy validate`, and look at POLICY_DIR or publish a revision with `gatehouse policy publish`. The log names the fault.",
  drain: "It is shutting down; its successor should take over.",
};

function judgeReadiness({ replica, readyz }: Probe, say: Findings): void {
  if (!("value" in readyz)) {
    say.problem(
      "readiness",
      `the HTTP edge on port ${replica.httpPort} does not answer (${readyz.failure})`,
      "Give its port after the gRPC port, HOST:GRPC_PORT/HTTP_PORT, and forward it too.",
    );
    return;
  }
  const report = readyzOf(readyz.value.body);
  if (report === undefined) {
    say.problem(
      "readiness",
      `/readyz on port ${replica.httpPort} is not that of Gatehouse (status ${readyz.value.status})`,
      "Another program may have the port. Give the right one: HOST:GRPC_PORT/HTTP_PORT.",
    );
    return;
  }
  const waiting = Object.entries(report.checks).filter(([, { ready }]) => !ready);
  if (report.ready && waiting.length === 0) {
    const details = Object.entries(report.checks).map(([name, { detail }]) => (detail ? `${name} (${detail})` : name));
    say.ok("readiness", details.length === 0 ? "ready" : `ready: ${details.join(", ")}`);
  }
  for (const [name, { detail }] of waiting) {
    say.problem(
      "readiness",
      `waits for ${name}${detail === undefined ? "" : `: ${detail}`}`,
      remedies[name] ?? "Look into the log of the replica.",
    );
  }
}

function readyzOf(body: string): Readyz | undefined {
  try {
    const parsed = JSON.parse(body) as Partial<Readyz> | null;
    if (typeof parsed?.ready !== "boolean" || typeof parsed.checks !== "object" || parsed.checks === null)
      return undefined;
    return parsed as Readyz;
  } catch {
    return undefined;
  }
}

/** The metrics of a probe, when it has any. */
export function metricsOf({ metrics }: Probe): MetricsText | undefined {
  return "value" in metrics && metrics.value.status === 200 ? parseMetrics(metrics.value.body) : undefined;
}

/** Gauges that are 1 while something is wrong. */
const alarms: readonly {
  metric: string;
  labels?: Record<string, string>;
  check: string;
  message: string;
  remedy: string;
}[] = [
  {
    metric: "policy_load_failed",
    check: "policies",
    message: "the newest policies could not be loaded; older ones are in force",
    remedy: "Run `gatehouse policy validate` on them; the log names the fault.",
  },
  {
    metric: "policy_feed_stale",
    check: "bus",
    message: "changes made on other replicas cannot be followed",
    remedy: "Check that Redis is reached from this replica (REDIS_URL, NetworkPolicy).",
  },
  {
    metric: "check_mapping_stale",
    check: "mapping",
    message: "the newest check mapping could not be loaded; an older one is in force",
    remedy: "Mend the file of AUTH_CHECK_MAPPING; the log names line and fault.",
  },
  {
    metric: "circuit_breaker_state",
    labels: { target: "policy-service" },
    check: "policy-service",
    message: "auth-service does not reach policy-service: the circuit breaker is open",
    remedy: "Check POLICY_ADDRESS, and in the mesh that policy-service admits auth-service's identity.",
  },
];

function judgeMetrics(probe: Probe, say: Findings): void {
  const metrics = metricsOf(probe);
  if (metrics === undefined) {
    const why = "value" in probe.metrics ? `status ${probe.metrics.value.status}` : probe.metrics.failure;
    say.warning(
      "metrics",
      `/metrics cannot be read (${why})`,
      "Without it revisions, versions and the bus are not seen.",
    );
    return;
  }
  for (const { metric, labels, check, message, remedy } of alarms) {
    const value = metrics.value(metric, labels);
    if (value !== undefined && value !== 0) say.problem(check, message, remedy);
  }
  for (const [certificate, seconds] of metrics.all("tls_certificate_expiry_timestamp_seconds", "certificate")) {
    const days = Math.floor((seconds * 1_000 - Date.now()) / 86_400_000);
    const message = `${certificate}: ${days < 0 ? "has ended" : `ends in ${days} days`}`;
    const remedy = "Renew the file: it is taken up without a restart (docs/tls.md).";
    if (days < 0) say.problem("certificate", message, remedy);
    else if (days < 14) say.warning("certificate", message, remedy);
    else say.ok("certificate", message);
  }
  const loopLagSeconds = metrics.value("service_loop_lag_seconds") ?? 0;
  if (loopLagSeconds > 0.25) {
    say.warning("load", `the event loop is ${Math.round(loopLagSeconds * 1_000)} ms late`, "Add replicas, or CPU.");
  }
}

/** By how many milliseconds the replica's clock is ahead of this machine's, to within half a second. */
export function skewOf({ readyz }: Probe): number | undefined {
  if (!("value" in readyz) || readyz.value.headers.date === undefined) return undefined;
  const { sentAt, receivedAt, headers } = readyz.value;
  const told = Date.parse(headers.date ?? "");
  // The header leaves out the fraction of the second, half a second on average.
  return Number.isNaN(told) ? undefined : told + 500 - (sentAt + receivedAt) / 2;
}

function judgeClock(probe: Probe, say: Findings): void {
  const skewMs = skewOf(probe);
  if (skewMs === undefined) return;
  const seconds = `${(Math.abs(skewMs) / 1_000).toFixed(1)} s ${skewMs > 0 ? "ahead of" : "behind"} this machine`;
  const remedy = "Let NTP (chrony, systemd-timesyncd) set the clock of the node, or of this machine.";
  if (Math.abs(skewMs) > skewProblemMs) say.problem("clock", `the clock is ${seconds}`, remedy);
  else if (Math.abs(skewMs) > skewWarningMs) say.warning("clock", `the clock is ${seconds}`, remedy);
  else say.ok("clock", "agrees with this machine's to within 2 s");
}
