import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import { freePort } from "../support/ports.ts";
import { redisServerBinary } from "../support/redis-binary.ts";
import { until } from "../support/until.ts";

const run = promisify(execFile);

/** A real Redis Cluster of three primaries with a replica each, on loopback, every node with an append-only file. */
export interface RedisCluster {
  /** For `REDIS_URL`: every node. */
  readonly url: string;
  /** Ports of the nodes that run. */
  readonly ports: readonly number[];
  /** Kills (SIGKILL) the primary that holds a key's slot; answers its port once its replica has taken its place. */
  failOver(key: string): Promise<number>;
  /** Starts a node again that was killed, and waits until it follows. */
  restart(port: number): Promise<void>;
  stop(): Promise<void>;
}

/** How long a node is silent before it is taken for dead, in milliseconds. */
const nodeTimeoutMs = 2_000;

export async function startRedisCluster(): Promise<RedisCluster> {
  const dir = mkdtempSync(join(tmpdir(), "gatehouse-cluster-"));
  const nodes = new Map<number, ChildProcess | undefined>();

  async function start(port: number): Promise<void> {
    const path = join(dir, String(port));
    mkdirSync(path, { recursive: true });
    const args = ["--port", port, "--bind", "127.0.0.1", "--dir", path, "--save", "", "--appendonly", "yes"];
    const cluster = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"];
    const more = ["--cluster-port", await freePort(), "--cluster-node-timeout", nodeTimeoutMs];
    nodes.set(port, spawn(redisServerBinary(), [...args, ...cluster, ...more].map(String), { stdio: "ignore" }));
    await until(`Redis answers on port ${port}`, async () => (await ask(port, "PING")) === "PONG");
  }

  const alive = (): number[] => [...nodes.keys()].filter((port) => nodes.get(port) !== undefined);

  async function isWhole(): Promise<boolean> {
    const infos = await Promise.all(alive().map(async (port) => String(await ask(port, "CLUSTER", "INFO"))));
    return infos.every((info) => info.includes("cluster_state:ok") && info.includes("cluster_slots_ok:16384"));
  }

  /** The port of the primary that holds a slot, as another node sees it. */
  async function primaryOf(slot: number): Promise<number> {
    const [port] = alive();
    const ranges = (await ask(port ?? 0, "CLUSTER", "SLOTS")) as [number, number, [string, number]][];
    const range = ranges.find(([first, last]) => first <= slot && slot <= last);
    return range?.[2][1] ?? 0;
  }

  async function stop(): Promise<void> {
    for (const child of nodes.values()) child?.kill("SIGKILL");
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  }

  try {
    for (let i = 0; i < 6; i += 1) await start(await freePort());
    const addresses = [...nodes.keys()].map((port) => `127.0.0.1:${port}`);
    await run("redis-cli", ["--cluster", "create", ...addresses, "--cluster-replicas", "1", "--cluster-yes"]);
    await until("the cluster is whole", isWhole);
    await until("every replica follows", async () => {
      const infos = await Promise.all(alive().map(async (port) => String(await ask(port, "INFO", "replication"))));
      return infos.filter((info) => info.includes("master_link_status:up")).length === 3;
    });
  } catch (error) {
    await stop();
    throw error;
  }

  return {
    get url() {
      return `redis+cluster://${[...nodes.keys()].map((port) => `127.0.0.1:${port}`).join(",")}`;
    },
    get ports() {
      return alive();
    },
    async failOver(key) {
      const slot = Number(await ask(alive()[0] ?? 0, "CLUSTER", "KEYSLOT", key));
      const port = await primaryOf(slot);
      const child = nodes.get(port);
      if (child === undefined) throw new Error(`no node of ours holds ${key}`);
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
      nodes.set(port, undefined);
      await until("a replica takes over", async () => (await primaryOf(slot)) !== port && (await isWhole()));
      return port;
    },
    async restart(port) {
      await start(port);
      await until("the node follows", async () =>
        String(await ask(port, "INFO", "replication")).includes("master_link_status:up"),
      );
    },
    stop,
  };
}

/** Asks one node; undefined when it does not answer. */
async function ask(port: number, command: string, ...args: string[]): Promise<unknown> {
  const redis = new Redis({ port, lazyConnect: true, retryStrategy: () => null, commandTimeout: 1_000 });
  redis.on("error", () => undefined);
  try {
    await redis.connect();
    return await redis.call(command, ...args);
  } catch {
    return undefined;
  } finally {
    redis.disconnect();
  }
}
