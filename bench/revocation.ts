import { setTimeout as sleep } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { AuthenticateRequestSchema, RevokeRequestSchema } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { type AuthReplica, startAuthReplica } from "../test/support/auth-replica.ts";
import { startRedisServer } from "../test/support/redis-server.ts";
import type { BenchOptions } from "./main.ts";
import { createGrpcCaller, type GrpcCaller } from "./support/grpc-caller.ts";
import { heapFlags } from "./support/pinned.ts";
import { patient } from "./support/services.ts";
import { quantile } from "./support/statistics.ts";

const replicaCount = 3;
const checksPerSecond = 1_000;
const revocations = 1_000;
const revocationsPerSecond = 40;
/** Beyond, the machine cannot keep up, and checks are held back. */
const maxInFlight = 300;
/** After the reply to Revoke and this, not one check may be accepted. */
const boundMs = 50;
const deadlineMs = 5_000;
const authenticatePath = "/gatehouse.auth.v1.AuthService/Authenticate";
const revokePath = "/gatehouse.auth.v1.AuthService/Revoke";
const codes = { ok: 0, unauthenticated: 16 } as const;

/** A token that is to be revoked, and what is known of it. Times are those of `performance.now()`. */
interface Target {
  readonly kind: "access token" | "session";
  readonly check: Uint8Array;
  readonly revoke: Uint8Array;
  /** When Revoke was called, and when it was answered. */
  called: number;
  replied: number;
  /** When each replica was first heard to refuse it. */
  readonly refused: number[];
}

interface Counts {
  checks: number;
  heldBack: number;
  acceptedAfterReply: number;
  acceptedAfterBound: number;
  /** Of tokens that were not revoked yet. */
  refusedEarly: number;
  /** How long each took to be answered, in milliseconds. */
  readonly latencies: number[];
  /** Neither accepted nor refused, by code. */
  readonly failed: Record<string, number>;
}

/**
 * Three replicas on one Redis under 1,000 token checks a second, and 1,000 revocations, each asked of one replica. Most of the checks
 * are of what is just being revoked; the rest are of what was revoked before and of what will be later.
 */
export async function runRevocationBench({ progress }: BenchOptions): Promise<object> {
  progress("starting Redis and three replicas");
  const redis = await startRedisServer();
  const replicas: AuthReplica[] = [];
  try {
    for (let i = 0; i < replicaCount; i += 1) replicas.push(await startAuthReplica(settings(redis.url)));
    progress(`signing in ${revocations / 2} times`);
    const targets = await signIn(replicas);
    progress(`revoking ${revocations} times, ${revocationsPerSecond} a second`);
    return await measure(replicas, targets);
  } finally {
    await Promise.all(replicas.map((replica) => replica.close()));
    await redis.stop();
  }
}

function settings(url: string): Record<string, string> {
  return {
    ...patient,
    REDIS_URL: url,
    SESSION_LIMIT: String(revocations),
    ARGON2_QUEUE: "1000",
    LOG_LEVEL: "error",
    NODE_OPTIONS: heapFlags.join(" "),
  };
}

/** Half the revocations are of access tokens, the other half of the sessions that these came of. */
async function signIn(replicas: readonly AuthReplica[]): Promise<Target[]> {
  const targets: Target[] = [];
  const value = { username: "alice", password: "wonderland" };
  for (let count = 0; count < revocations / 2; count += replicas.length) {
    const answers = await Promise.all(
      replicas.map(({ auth }) => auth.authenticate({ credential: { case: "password", value }, issueTokens: true })),
    );
    for (const { sessionToken, tokens } of answers) {
      targets.push(target("access token", tokens?.accessToken ?? ""), target("session", sessionToken));
    }
  }
  // Access tokens first: with its session, a token would be gone before its turn.
  return targets.slice(0, revocations).sort((a, b) => a.kind.localeCompare(b.kind));
}

function target(kind: Target["kind"], token: string): Target {
  const credential = { case: "bearerToken", value: token } as const;
  return {
    kind,
    check: toBinary(AuthenticateRequestSchema, create(AuthenticateRequestSchema, { credential })),
    revoke: toBinary(RevokeRequestSchema, create(RevokeRequestSchema, { target: { case: "token", value: token } })),
    called: Number.POSITIVE_INFINITY,
    replied: Number.POSITIVE_INFINITY,
    refused: Array.from({ length: replicaCount }, () => Number.POSITIVE_INFINITY),
  };
}

const isRefusedByAll = ({ refused }: Target): boolean => refused.every(Number.isFinite);

async function measure(replicas: readonly AuthReplica[], targets: readonly Target[]): Promise<object> {
  const callers = replicas.map(({ port }) => createGrpcCaller(port));
  const counts: Counts = {
    checks: 0,
    heldBack: 0,
    acceptedAfterReply: 0,
    acceptedAfterBound: 0,
    refusedEarly: 0,
    latencies: [],
    failed: {},
  };
  const inFlight = new Set<Promise<void>>();
  const keep = (work: Promise<void>): void => {
    inFlight.add(work);
    void work.finally(() => inFlight.delete(work));
  };
  // For the connections and the code of the servers to be warm.
  for (let i = 0; i < 300; i += 1) await check(callers, i % replicaCount, targets[i % targets.length]!, counts);
  counts.checks = 0;
  counts.latencies.length = 0;

  const cpuBefore = await cpuSeconds(replicas);
  const began = performance.now();
  let revoked = 0;
  let checked = 0;
  while (revoked < targets.length || !isRefusedByAll(targets.at(-1)!)) {
    const elapsedMs = performance.now() - began;
    for (; revoked < targets.length && (revoked * 1_000) / revocationsPerSecond <= elapsedMs; revoked += 1) {
      keep(revoke(callers[revoked % replicaCount]!, targets[revoked]!, counts));
    }
    for (; (checked * 1_000) / checksPerSecond <= elapsedMs; checked += 1) {
      if (inFlight.size >= maxInFlight) counts.heldBack += 1;
      else keep(check(callers, checked % replicaCount, choose(targets, revoked, checked), counts));
    }
    if (elapsedMs > 120_000) throw new Error("not everything was refused within two minutes");
    await sleep(1);
  }
  const seconds = (performance.now() - began) / 1_000;
  await Promise.all(inFlight);
  const cpu = (await cpuSeconds(replicas)).map((value, i) => Number(((value - cpuBefore[i]!) / seconds).toFixed(2)));
  const { latencies, ...counted } = counts;
  const asked = { checks: counts.checks, ...spread(latencies.splice(0), "check") };
  // Whatever was revoked is still refused by every replica, and all of it.
  for (const each of targets) {
    for (let replica = 0; replica < replicaCount; replica += 1) await check(callers, replica, each, counts);
  }
  const applied = await Promise.all(replicas.map((replica) => replica.metric("revocation_propagation_seconds_count")));
  for (const caller of callers) caller.close();

  const table = (["access token", "session", "all"] as const).map((kind) => {
    const of = targets.filter((each) => kind === "all" || each.kind === kind);
    const untilRefused = of.map(({ called, refused }) => Math.max(...refused) - called);
    const untilReply = of.map(({ called, replied }) => replied - called);
    return { revoked: kind, count: of.length, ...spread(untilRefused, "refusedByAll"), ...spread(untilReply, "reply") };
  });
  return {
    replicas: replicaCount,
    checksPerSecond: Math.round(checked / seconds),
    boundMs,
    table,
    unit: "ms from the call of Revoke",
    ...counted,
    /** What the machine makes of a token check in the same run: a revocation takes a few of these. */
    ...asked,
    /** Share of a core that the generator took, and each replica. */
    cpu,
    appliedFromFeed: applied,
  };
}

/** CPU time so far of this process and of each replica. */
async function cpuSeconds(replicas: readonly AuthReplica[]): Promise<number[]> {
  const { user, system } = process.cpuUsage();
  const theirs = replicas.map((replica) => replica.metric("process_cpu_seconds_total"));
  return [(user + system) / 1e6, ...(await Promise.all(theirs))];
}

function spread(values: readonly number[], name: string): Record<string, number> {
  const at = (q: number): number => Number(quantile(values, q).toFixed(2));
  return { [`${name}P50`]: at(0.5), [`${name}P99`]: at(0.99), [`${name}Max`]: at(1) };
}

/** Eight checks in ten are of what is being revoked; one of what was, one of what is yet to be. */
function choose(targets: readonly Target[], revoked: number, checked: number): Target {
  const turn = Math.floor(checked / replicaCount) % 10;
  const older = Math.floor(Math.random() * Math.max(1, revoked));
  if (turn === 0) return targets[older]!;
  if (turn === 1) return targets[Math.min(targets.length - 1, revoked + 1)]!;
  const pending = targets.slice(0, revoked).filter((each) => !isRefusedByAll(each));
  return pending[checked % Math.max(1, pending.length)] ?? targets[Math.max(0, revoked - 1)]!;
}

async function revoke(caller: GrpcCaller, each: Target, counts: Counts): Promise<void> {
  each.called = performance.now();
  const code = await caller.call(revokePath, each.revoke, deadlineMs);
  if (code === codes.ok) each.replied = performance.now();
  else fail(counts, `Revoke ${code}`);
}

async function check(callers: readonly GrpcCaller[], replica: number, each: Target, counts: Counts): Promise<void> {
  counts.checks += 1;
  const sent = performance.now();
  const code = await callers[replica]!.call(authenticatePath, each.check, deadlineMs);
  counts.latencies.push(performance.now() - sent);
  if (code === codes.ok) {
    if (sent > each.replied) counts.acceptedAfterReply += 1;
    if (sent > each.replied + boundMs) counts.acceptedAfterBound += 1;
  } else if (code === codes.unauthenticated) {
    if (sent < each.called && performance.now() < each.called) counts.refusedEarly += 1;
    each.refused[replica] = Math.min(each.refused[replica]!, performance.now());
  } else {
    fail(counts, `Authenticate ${code}`);
  }
}

function fail({ failed }: Counts, what: string): void {
  failed[what] = (failed[what] ?? 0) + 1;
}
