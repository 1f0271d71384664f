import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster, Redis } from "ioredis";
import { freePort } from "./ports.ts";
import { redisServerBinary } from "./redis-binary.ts";

/** A real Redis on a free port of the loopback address, with an append-only file in a directory of its own. */
export interface RedisServer {
  readonly port: number;
  readonly url: string;
  /** Process id of the running server. */
  readonly pid: number;
  /** Kills it without warning (SIGKILL). */
  kill(): Promise<void>;
  /** Starts it again on the same port and data. */
  start(): Promise<void>;
  /** Kills it and deletes its data. */
  stop(): Promise<void>;
}

export interface RedisServerOptions {
  /**
   * Makes it a Redis Cluster of one node that holds every slot. Where `TEST_REDIS_CLUSTER` has the port of a node of a cluster that
   * runs, that one is emptied and used instead.
   */
  readonly cluster?: boolean;
  /** Password that it asks for. */
  readonly password?: string;
}

/** Starts a Redis server and waits until it answers. */
export async function startRedisServer({ cluster = false, password }: RedisServerOptions = {}): Promise<RedisServer> {
  const running = process.env.TEST_REDIS_CLUSTER;
  if (cluster && running !== undefined) return await useCluster(Number(running));
  const dir = mkdtempSync(join(tmpdir(), "gatehouse-redis-"));
  const port = await freePort();
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    const args = ["--port", String(port), "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "yes"];
    if (cluster)
      args.push(
        "--cluster-enabled",
        "yes",
        "--cluster-config-file",
        "nodes.conf",
        "--cluster-announce-ip",
        "127.0.0.1",
      );
    if (password !== undefined) args.push("--requirepass", password);
    child = spawn(redisServerBinary(), args, { stdio: "ignore" });
    await untilAnswers(port, cluster, password);
  }

  async function kill(): Promise<void> {
    if (child === undefined) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
    child = undefined;
  }

  await start();
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    get pid() {
      if (child?.pid === undefined) throw new Error("The server is not running.");
      return child.pid;
    },
    kill,
    start,
    async stop() {
      await kill();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A cluster that somebody else starts, kills and stops. */
async function useCluster(port: number): Promise<RedisServer> {
  const redis = new Cluster([{ host: "127.0.0.1", port }]);
  await once(redis, "ready");
  await Promise.all(redis.nodes("master").map((node) => node.flushall()));
  redis.disconnect();
  const notOurs = (): never => {
    throw new Error("The cluster is not this test's.");
  };
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    get pid() {
      return notOurs();
    },
    kill: notOurs,
    start: notOurs,
    stop: async () => {},
  };
}

async function untilAnswers(port: number, cluster: boolean, password?: string): Promise<void> {
  for (const end = Date.now() + 10_000; Date.now() < end; await sleep(20)) {
    const redis = new Redis({
      port,
      ...(password === undefined ? {} : { password }),
      lazyConnect: true,
      retryStrategy: () => null,
    });
    redis.on("error", () => undefined);
    try {
      await redis.connect();
      if (!cluster) {
        if ((await redis.ping()) === "PONG") return;
      } else {
        if (/cluster_state:ok/.test(String(await redis.call("CLUSTER", "INFO")))) return;
        await redis.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
      }
    } catch {
      // Not yet.
    } finally {
      redis.disconnect();
    }
  }
  throw new Error(`redis-server did not answer on port ${port}.`);
}
