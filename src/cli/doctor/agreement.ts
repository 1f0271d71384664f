import { setTimeout as sleep } from "node:timers/promises";
import { PolicyAdminService } from "../../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import { createServiceClient } from "../../shared/client/service-client.ts";
import { type Finding, findingsOf } from "./finding.ts";
import { metricsOf, skewOf } from "./judge-replica.ts";
import { parseMetrics } from "./metrics-text.ts";
import { type Asked, asked, clientOptions, getPage, type Probe, type ProbeOptions } from "./probe.ts";
import type { Replica } from "./replica.ts";

/** How long a change may take to reach every replica. */
const settleMs = 3_000;
/** Clocks of replicas further apart than this disorder what is compared by time; a Date header tells whole seconds only. */
const skewBetweenMs = 2_000;

/** Whether replicas are of one version, and their clocks agree. */
export function judgeAgreement(probes: readonly Probe[]): Finding[] {
  const findings: Finding[] = [];
  const say = findingsOf("all replicas", findings);
  const versions = groupBy(probes, (each) => metricsOf(each)?.label("service_build_info", "version"));
  if (versions.size > 1) {
    say.warning(
      "version",
      `versions differ: ${describe(versions)}`,
      "Expected during a rollout only: see kubectl rollout status.",
    );
  } else if (versions.size === 1) {
    say.ok("version", `all are ${[...versions.keys()][0]}`);
  }
  const skews = probes.map(skewOf).filter((skew) => skew !== undefined);
  const apart = Math.max(...skews) - Math.min(...skews);
  if (skews.length > 1 && apart > skewBetweenMs) {
    say.problem(
      "clock",
      `the replicas' clocks are up to ${(apart / 1_000).toFixed(1)} s apart`,
      "Let NTP set the clocks of the nodes: sessions, tokens and revocations compare times of several replicas.",
    );
  } else if (skews.length > 1) {
    say.ok("clock", "the replicas' clocks agree to within 2 s");
  }
  return findings;
}

interface State {
  readonly revision: string;
  readonly entityRevision: string;
}

/**
 * Whether all replicas of policy-service have one policy revision and the same entities. Asks PolicyAdminService with an
 * admin's credential, reads the metrics without one. What differs is looked at again, as it may be on its way.
 */
export async function judgeRevisions(
  probes: readonly Probe[],
  options: ProbeOptions,
  token: string | undefined,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const say = findingsOf("policy-service", findings);
  const replicas = probes.filter(({ grpcPort }) => "value" in grpcPort).map(({ replica }) => replica);
  if (replicas.length === 0) return findings;
  const read = (): Promise<Asked<State>[]> =>
    Promise.all(replicas.map((replica) => asked(() => stateOf(replica, options, token))));
  let states = await read();
  if (differ(states)) {
    await sleep(settleMs);
    states = await read();
  }
  for (const [index, state] of states.entries()) {
    if ("value" in state) continue;
    findingsOf(replicas[index]?.label ?? "", findings).problem(
      "revision",
      `the policy revision cannot be read (${state.failure})`,
      token === undefined
        ? "Its metrics should tell: see readiness and metrics."
        : "Set GATEHOUSE_TOKEN to the key of an admin, or leave it unset: then the metrics are read.",
    );
  }
  const known = replicas.flatMap((replica, index) => {
    const state = states[index];
    return state !== undefined && "value" in state ? [{ replica, ...state.value }] : [];
  });
  const revisions = groupBy(known, ({ revision }) => revision);
  const entities = groupBy(known, ({ entityRevision }) => entityRevision);
  if (revisions.size > 1) {
    say.problem(
      "revision",
      `replicas decide by different policies: ${describe(revisions)}`,
      "Replicas that share a store agree within seconds: check that all have the same REDIS_URL and POLICY_SOURCE, and that none says policy_feed_stale or policy_load_failed. With a directory, the ConfigMap may still be on its way.",
    );
  } else if (revisions.size === 1) {
    say.ok("revision", `all ${known.length} decide by ${[...revisions.keys()][0] || "no policies yet"}`);
  }
  if (entities.size > 1) {
    say.problem(
      "entities",
      `replicas hold different entities: ${describe(entities)}`,
      "Check that all share one Redis and that none says policy_feed_stale.",
    );
  } else if (entities.size === 1) {
    say.ok("entities", `all ${known.length} hold entity revision ${[...entities.keys()][0]}`);
  }
  return findings;
}

async function stateOf(replica: Replica, options: ProbeOptions, token: string | undefined): Promise<State> {
  if (token === undefined) return await stateInMetrics(replica, options);
  const client = createServiceClient(PolicyAdminService, clientOptions(replica, options));
  try {
    const call = { headers: { authorization: `Bearer ${token}` }, deadline: Date.now() + options.timeoutMs };
    for await (const { active, entityRevision } of client.watchRevisions({}, call)) {
      return { revision: active?.id ?? "", entityRevision: String(entityRevision) };
    }
    throw new Error("no revision is active");
  } finally {
    client.close();
  }
}

async function stateInMetrics(replica: Replica, options: ProbeOptions): Promise<State> {
  const { status, body } = await getPage(replica, "/metrics", options);
  if (status !== 200) throw new Error(`/metrics answers ${status}`);
  const metrics = parseMetrics(body);
  const revision = metrics.label("policy_active_revision", "revision") ?? "";
  return { revision, entityRevision: String(metrics.value("policy_entity_revision") ?? 0) };
}

function differ(states: readonly Asked<State>[]): boolean {
  return new Set(states.map((state) => ("value" in state ? JSON.stringify(state.value) : ""))).size > 1;
}

function groupBy<T extends { readonly replica: Replica }>(
  items: readonly T[],
  key: (item: T) => string | undefined,
): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const item of items) {
    const value = key(item);
    if (value !== undefined) groups.set(value, [...(groups.get(value) ?? []), item.replica.label]);
  }
  return groups;
}

function describe(groups: ReadonlyMap<string, readonly string[]>): string {
  return [...groups].map(([value, labels]) => `${value || "none"} on ${labels.join(", ")}`).join("; ");
}
