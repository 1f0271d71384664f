/**
 * What Redis holds and does: bytes of a session with and without a refresh token, Redis' CPU for a session's read and sign-in,
 * and for waking the replicas that follow the bus. The parts of docs/scale.md.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { createRedisRefreshFamilyStore } from "../src/auth/adapters/redis-refresh-families.ts";
import { createRedisSessionStore } from "../src/auth/adapters/redis-sessions.ts";
import { createSessions } from "../src/auth/domain/sessions.ts";
import { createBus } from "../src/shared/bus/bus.ts";
import { createRedisLog } from "../src/shared/bus/redis-log.ts";
import { revocations } from "../src/shared/bus/topics.ts";
import { createRedisConnector } from "../src/shared/store/redis.ts";
import { startRedisServer } from "../test/support/redis-server.ts";
import type { BenchOptions } from "./main.ts";

const users = 20_000;
const followers = 100;
const revoked = 100;
/** What is in flight to Redis at once. */
const width = 200;

/** A user name of 12 bytes: names are in three of a session's keys and values. */
const nameOf = (index: number): string => `user-${String(index).padStart(7, "0")}`;

export async function runStoreBench({ progress }: BenchOptions): Promise<object> {
  const server = await startRedisServer();
  const redis = new Redis(server.port);
  try {
    progress(`${users} sessions`);
    const sessions = await measureSessions(redis);
    progress(`${followers} followers of one topic`);
    const bus = await measureBus(redis, server.url);
    return { redis: await field(redis, "server", "redis_version"), ...sessions, ...bus };
  } finally {
    redis.disconnect();
    await server.stop();
  }
}

async function measureSessions(redis: Redis): Promise<object> {
  const sessions = createSessions({
    store: createRedisSessionStore(redis),
    clock: Date.now,
    random: randomBytes,
    idleTimeoutMs: 1_800_000,
    maxAgeMs: 86_400_000,
    limit: 100,
  });
  const families = createRedisRefreshFamilyStore(redis);
  const tokens: string[] = [];
  const ids: string[] = [];
  const empty = await memory(redis);
  const signIns = await cpuOf(redis, users, async (index) => {
    const { token, session } = await sessions.open(nameOf(index), ["pwd"], 0);
    tokens[index] = token;
    ids[index] = session.id;
  });
  const withSessions = await memory(redis);
  const reads = await cpuOf(redis, users, async (index) => void (await sessions.find(tokens[index] ?? "")));
  const hash = (): string => randomBytes(32).toString("base64url");
  await cpuOf(redis, users, async (index) => {
    const sessionId = ids[index] ?? "";
    await families.add({
      partition: sessionId.slice(0, 4),
      sessionId,
      seriesHash: hash(),
      currentHash: hash(),
      issueTime: Date.now(),
      client: "",
      scopes: ["openid"],
      expireTime: Date.now() + 86_400_000,
    });
  });
  const withTokens = await memory(redis);
  return {
    sessionBytes: Math.round((withSessions - empty) / users),
    refreshFamilyBytes: Math.round((withTokens - withSessions) / users),
    redisMicrosPerSignIn: signIns,
    redisMicrosPerSessionRead: reads,
  };
}

async function measureBus(redis: Redis, url: string): Promise<object> {
  const connect = createRedisConnector({ url });
  const ending = new AbortController();
  let applied = 0;
  const before = await memory(redis);
  const buses = Array.from({ length: followers }, () => createBus({ log: createRedisLog({ connect }) }));
  const followed = buses.map((bus) =>
    bus.follow(revocations, {
      after: "now",
      signal: ending.signal,
      onMessage: () => {
        applied += 1;
      },
      onGap: () => {},
    }),
  );
  try {
    while (!followed.every((follower) => follower.isFresh())) await sleep(50);
    const connected = await memory(redis);
    const readsBefore = await reads(redis);
    const idleStart = await cpu(redis);
    await sleep(5_000);
    const idleReads = (await reads(redis)) - readsBefore;
    const idleMicros = ((await cpu(redis)) - idleStart) / idleReads;
    const start = await cpu(redis);
    for (let count = 0; count < revoked; count += 1) {
      await buses[0]?.publish(revocations, {
        service: "auth-service",
        operation: "revoked",
        payload: { subject: { case: "sessionId", value: randomBytes(18).toString("base64url") } },
      });
      await sleep(20);
    }
    while (applied < followers * revoked) await sleep(20);
    const micros = ((await cpu(redis)) - start) / (followers * revoked);
    return {
      followers,
      redisMicrosPerWakeUp: round(micros),
      redisMicrosPerIdleRead: round(idleMicros),
      redisBytesPerFollower: Math.round((connected - before) / followers),
    };
  } finally {
    ending.abort();
    await Promise.all(buses.map((bus) => bus.close()));
  }
}

/** Redis' CPU for one piece of work, in µs. */
async function cpuOf(redis: Redis, count: number, work: (index: number) => Promise<void>): Promise<number> {
  const start = await cpu(redis);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: width }, worker));
  return round(((await cpu(redis)) - start) / count);
}

/** CPU of Redis' main thread since its start, in µs. */
async function cpu(redis: Redis): Promise<number> {
  const of = async (name: string): Promise<number> => Number(await field(redis, "cpu", name));
  return ((await of("used_cpu_user_main_thread")) + (await of("used_cpu_sys_main_thread"))) * 1e6;
}

async function reads(redis: Redis): Promise<number> {
  return Number(/calls=(\d+)/.exec(await field(redis, "commandstats", "cmdstat_xread"))?.[1]);
}

async function memory(redis: Redis): Promise<number> {
  return Number(await field(redis, "memory", "used_memory"));
}

async function field(redis: Redis, section: string, name: string): Promise<string> {
  return new RegExp(`^${name}:(.*)\r$`, "m").exec(await redis.info(section))?.[1] ?? "";
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
