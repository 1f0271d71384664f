import { setTimeout as sleep } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { AuthenticateRequestSchema } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { statusName } from "../src/shared/service-error.ts";
import { type AuthReplica, startAuthReplica } from "../test/support/auth-replica.ts";
import { startRedisServer } from "../test/support/redis-server.ts";
import type { BenchOptions } from "./main.ts";
import { createGrpcCaller } from "./support/grpc-caller.ts";
import type { Latency, LoadResult } from "./support/load/job.ts";
import { runLoad } from "./support/load/run-load.ts";
import { heapFlags } from "./support/pinned.ts";
import type { Target } from "./support/services.ts";
import { median } from "./support/statistics.ts";

const loadCore = 0;
const checksPerSecond = 200;
/** Logins in flight: more than are hashed and wait, so that some are refused at any time. */
const loginsInFlight = 100;
/** How long a refused one waits before it comes again. RetryInfo says a second. */
const retryMs = 500;
const rounds = 3;
const path = "/gatehouse.auth.v1.AuthService/Authenticate";

interface Round {
  readonly idle: Latency;
  readonly storm: Latency;
}

/**
 * Latency of token checks at 200 a second in open loop, alone and while more passwords come than can be hashed, in interleaved
 * rounds. One replica, on Redis, with the shipped parameters of password hashing.
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
    const { message } = target(port, login);
    const load = (): Promise<LoadResult> =>
      runLoad(loadCore, {
        ...checks,
        rate: checksPerSecond,
        seconds,
        warmUpSeconds: 1,
        clients: 4,
        deadlineMs: 10_000,
        adaptive: false,
      });

    const results: Round[] = [];
    const logins: Record<string, number> = {};
    let failedChecks = 0;
    for (let round = 1; round <= rounds; round += 1) {
      progress(`round ${round} of ${rounds}: token checks alone`);
      const idle = await load();
      progress(`round ${round} of ${rounds}: token checks in a storm of logins`);
      const storm = await during(port, message, logins, load);
      results.push({ idle: idle.latency, storm: storm.latency });
      for (const { offered, answered } of [idle, storm]) failedChecks += offered - answered;
    }
    const p95 = (kind: keyof Round): number => median(results.map((each) => each[kind].p95));
    return {
      checksPerSecond,
      loginsInFlight,
      table: (["idle", "storm"] as const).map((kind) => ({
        checks: kind,
        p50: median(results.map((each) => each[kind].p50)),
        p95: p95(kind),
        p99: median(results.map((each) => each[kind].p99)),
      })),
      unit: "ms",
      p95Ratio: Number((p95("storm") / p95("idle")).toFixed(2)),
      failedChecks,
      loginsByStatus: logins,
      rounds: results,
    };
  } finally {
    await replica?.close();
    await redis.stop();
  }
}

/** Keeps logins coming while something else goes on, and counts what becomes of them. */
async function during<T>(
  port: number,
  message: Uint8Array,
  counts: Record<string, number>,
  work: () => Promise<T>,
): Promise<T> {
  const caller = createGrpcCaller(port);
  let over = false;
  const logIn = async (): Promise<void> => {
    while (!over) {
      const status = statusName(await caller.call(path, message, 30_000));
      counts[status] = (counts[status] ?? 0) + 1;
      if (status !== "OK") await sleep(retryMs);
    }
  };
  const storm = Array.from({ length: loginsInFlight }, logIn);
  try {
    return await work();
  } finally {
    over = true;
    await Promise.all(storm);
    caller.close();
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
