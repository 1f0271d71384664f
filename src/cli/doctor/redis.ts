import { once } from "node:events";
import type { Cluster, Redis } from "ioredis";
import { topics } from "../../shared/bus/topics.ts";
import { createRedisConnector } from "../../shared/store/redis.ts";
import { RedisUrlError } from "../../shared/store/redis-url.ts";
import { type Finding, type Findings, findingsOf } from "./finding.ts";
import { causeOf } from "./http-get.ts";

const pings = 20;
const slowMs = 10;
const verySlowMs = 100;
/** Messages that a consumer group may be behind. */
const lagWarning = 1_000;

/** Latency and settings of Redis, and how far the consumers of the bus are behind. The URL is never shown. */
export async function judgeRedis(url: string, timeoutMs: number): Promise<Finding[]> {
  const findings: Finding[] = [];
  const say = findingsOf("redis", findings);
  let redis: Redis | Cluster | undefined;
  try {
    redis = createRedisConnector({ url })("commands");
    redis.on("error", () => undefined);
    if (redis.status !== "ready") await once(redis, "ready", { signal: AbortSignal.timeout(timeoutMs) });
    await judgeLatency(redis, say);
    await judgeSettings(redis, say);
    await judgeBus(redis, say);
  } catch (error) {
    const cause = error instanceof Error && error.name === "AbortError" ? "no connection in time" : causeOf(error);
    say.problem(
      "redis",
      error instanceof RedisUrlError ? `REDIS_URL ${cause}` : `cannot be used from here (${cause})`,
      "Check REDIS_URL, the password, and that the address is reached from here; leave REDIS_URL unset to skip this.",
    );
  } finally {
    redis?.disconnect();
  }
  return findings;
}

async function judgeLatency(redis: Redis | Cluster, say: Findings): Promise<void> {
  const times: number[] = [];
  for (let count = 0; count < pings; count += 1) {
    const start = performance.now();
    await redis.ping();
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const [median = 0, max = 0] = [times[pings / 2], times.at(-1)];
  const text = `median ${median.toFixed(1)} ms, longest of ${pings} ${max.toFixed(1)} ms`;
  const remedy = "Bring Redis nearer, or look at its CPU, its slow log and the disk of its append-only file.";
  if (median > verySlowMs) say.problem("latency", text, remedy);
  else if (median > slowMs) say.warning("latency", text, `${remedy} From a laptop this is the way there.`);
  else say.ok("latency", text);
}

async function judgeSettings(redis: Redis | Cluster, say: Findings): Promise<void> {
  const info = parseInfo(await redis.info());
  const policy = info.get("maxmemory_policy") ?? "";
  if (policy !== "noeviction" && info.get("maxmemory") !== "0") {
    say.problem(
      "eviction",
      `maxmemory-policy is ${policy}: Redis may throw away sessions and revocations`,
      "Set maxmemory-policy noeviction, and alert on memory instead.",
    );
  } else say.ok("eviction", "does not evict");
  if (info.get("aof_enabled") === "1") say.ok("persistence", "append-only file is on");
  else {
    say.warning(
      "persistence",
      "append-only file is off: what Redis acknowledged is lost when it restarts",
      "Set appendonly yes, with a replica or a disk that lasts.",
    );
  }
}

function parseInfo(text: string): Map<string, string> {
  return new Map(
    text.split("\r\n").flatMap((line): [string, string][] => {
      const colon = line.indexOf(":");
      return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)]] : [];
    }),
  );
}

async function judgeBus(redis: Redis | Cluster, say: Findings): Promise<void> {
  let groups = 0;
  let behind = 0;
  for (const topic of topics.keys()) {
    const key = `gatehouse:{bus:${topic}}`;
    for (const group of await groupsOf(redis, `${key}:stream`)) {
      groups += 1;
      const lag = Number(group.get("lag") ?? 0) + Number(group.get("pending") ?? 0);
      if (lag <= lagWarning) continue;
      behind += 1;
      const name = `consumers ${group.get("name")} of ${topic}`;
      say.warning("bus", `${name} are ${lag} messages behind`, "See that they run, and add some.");
    }
    const dead = await redis.xlen(`${key}:dead`);
    if (dead > 0) {
      say.warning(
        "bus",
        `${dead} dead letters of ${topic}`,
        "Their handler failed again and again: see its log, then replay them.",
      );
    }
  }
  if (behind === 0) say.ok("bus", `${groups} consumer groups, none behind`);
}

async function groupsOf(redis: Redis | Cluster, key: string): Promise<Map<string, unknown>[]> {
  if ((await redis.exists(key)) === 0) return [];
  const reply = (await redis.xinfo("GROUPS", key)) as unknown[][];
  return reply.map((fields) => {
    const entries = new Map<string, unknown>();
    for (let index = 0; index + 1 < fields.length; index += 2) entries.set(String(fields[index]), fields[index + 1]);
    return entries;
  });
}
