import { create, toBinary } from "@bufbuild/protobuf";
import { AuthenticateRequestSchema } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { type AuthReplica, startAuthReplica } from "../test/support/auth-replica.ts";
import { startRedisServer } from "../test/support/redis-server.ts";
import type { BenchOptions } from "./main.ts";
import type { Latency, LoadResult } from "./support/load/job.ts";
import { runLoad } from "./support/load/run-load.ts";
import { heapFlags } from "./support/pinned.ts";
import type { Target } from "./support/services.ts";
import { median } from "./support/statistics.ts";

const loadCore = 0;
const checksPerSecond = 500;
/** Far more than a core can hash at 20 ms each. */
const loginsPerSecond = 500;
const rounds = 3;
const path = "/gatehouse.auth.v1.AuthService/Authenticate";

interface Round {
  readonly idle: Latency;
  readonly storm: Latency;
}

/**
 * Latency of token checks at 500 a second in open loop, alone and while ten times as many passwords come as can be hashed, in
 * interleaved rounds. One replica, on Redis, with the shipped parameters of password hashing.
 */
export async function runLoginStormBench({ seconds, progress }: BenchOptions): Promise<object> {
  progress("starting Redis and auth-service");
  const redis = await startRedisServer();
  let replica: AuthReplica | undefined;
  try {
    replica = await startAuthReplica({
      REDIS_URL: redis.url,
      LOG_LEVEL: "error",
      ARGON2_MEMORY_KIB: "19456",
      ARGON2_PASSES: "2",
      NODE_OPTIONS: heapFlags.join(" "),
    });
    const { port, auth } = replica;
    const login = { case: "password", value: { username: "alice", password: "wonderland" } } as const;
    // The session of another user than the storm's: theirs end as new ones come.
    const value = { username: "bob", password: "builder" };
    const { sessionToken } = await auth.authenticate({ credential: { case: "password", value } });
    const checks = target(port, { case: "bearerToken", value: sessionToken });
    const logins = target(port, login);
    const load = (of: Target, rate: number, more: number): Promise<LoadResult> =>
      runLoad(loadCore, {
        ...of,
        rate,
        seconds: seconds + more,
        warmUpSeconds: 1,
        clients: 4,
        deadlineMs: 10_000,
        adaptive: false,
      });

    const results: Round[] = [];
    const storms: LoadResult[] = [];
    const before = await statuses(replica);
    let failedChecks = 0;
    for (let round = 1; round <= rounds; round += 1) {
      progress(`round ${round} of ${rounds}: token checks alone`);
      const idle = await load(checks, checksPerSecond, 0);
      progress(`round ${round} of ${rounds}: token checks in a storm of logins`);
      // The storm lasts a little longer, so that no check is without it.
      const [storm, stormed] = await Promise.all([load(checks, checksPerSecond, 0), load(logins, loginsPerSecond, 1)]);
      results.push({ idle: idle.latency, storm: storm.latency });
      storms.push(stormed);
      for (const { offered, answered } of [idle, storm]) failedChecks += offered - answered;
    }
    const after = await statuses(replica);
    const p95 = (kind: keyof Round): number => median(results.map((each) => each[kind].p95));
    const sum = (of: (storm: LoadResult) => number): number => storms.reduce((total, each) => total + of(each), 0);
    return {
      checksPerSecond,
      loginsPerSecond,
      table: (["idle", "storm"] as const).map((kind) => ({
        checks: kind,
        p50: median(results.map((each) => each[kind].p50)),
        p95: p95(kind),
        p99: median(results.map((each) => each[kind].p99)),
      })),
      unit: "ms",
      p95Ratio: Number((p95("storm") / p95("idle")).toFixed(2)),
      failedChecks,
      logins: {
        offered: sum((each) => each.offered),
        answered: sum((each) => each.answered),
        refused: sum((each) => each.refused),
        expired: sum((each) => each.expired),
      },
      /** Of every call, those of the warm-up included, as the service counted them. */
      statuses: Object.fromEntries(Object.entries(after).map(([code, count]) => [code, count - (before[code] ?? 0)])),
      rounds: results,
    };
  } finally {
    await replica?.close();
    await redis.stop();
  }
}

type Credential =
  | { readonly case: "bearerToken"; readonly value: string }
  | {
      readonly case: "password";
      readonly value: { readonly username: string; readonly password: string };
    };

function target(port: number, credential: Credential): Target {
  const request = create(AuthenticateRequestSchema, { credential });
  return { port, path, message: toBinary(AuthenticateRequestSchema, request) };
}

/** Calls of Authenticate so far by status. */
async function statuses({ httpPort }: AuthReplica): Promise<Record<string, number>> {
  const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
  const lines = text.matchAll(
    /^service_requests_total\{(?=[^}]*method="[^"]*\/Authenticate")[^}]*code="(\w+)"[^}]*\} (\d+)$/gm,
  );
  return Object.fromEntries([...lines].map(([, code, count]) => [code, Number(count)]));
}
