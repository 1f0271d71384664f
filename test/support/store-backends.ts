import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import type { Clock } from "../../src/auth/domain/clock.ts";
import { openStores, type Stores } from "../../src/auth/stores.ts";
import { createLogger } from "../../src/shared/logger/logger.ts";
import { startRedisServer } from "./redis-server.ts";

/** One place to keep things in, to be opened any number of times at once. */
export interface Backend {
  /** Variables that make auth-service use it. */
  readonly env: Readonly<Record<string, string>>;
  open(clock: Clock): Promise<Stores>;
  /** All that is in it, as text. */
  dump(): Promise<string>;
  close(): Promise<void>;
}

/** Every store that auth-service can be given. */
export const backends: Readonly<Record<string, () => Promise<Backend>>> = {
  SQLite: async () => {
    const dir = mkdtempSync(join(tmpdir(), "gatehouse-stores-"));
    const dump = async (): Promise<string> =>
      ["auth.db", "auth.db-wal"].map((file) => readFileSync(join(dir, file), "latin1")).join("");
    return backend({ DATA_DIR: dir }, dump, async () => rmSync(dir, { recursive: true }));
  },
  Redis: async () => {
    const server = await startRedisServer();
    return backend(
      { REDIS_URL: server.url },
      () => dumpRedis(server.port),
      () => server.stop(),
    );
  },
  "Redis Cluster": async () => {
    const server = await startRedisServer({ cluster: true });
    const env = { REDIS_URL: `redis+cluster://127.0.0.1:${server.port}` };
    return backend(
      env,
      () => dumpRedis(server.port),
      () => server.stop(),
    );
  },
};

async function dumpRedis(port: number): Promise<string> {
  const redis = new Redis({ port });
  const values = await Promise.all(
    (await redis.keys("*")).map(async (key) => {
      const type = await redis.type(key);
      return [key, type === "hash" ? await redis.hgetall(key) : type === "string" ? await redis.get(key) : type];
    }),
  );
  redis.disconnect();
  return JSON.stringify(values);
}

function backend(
  env: { DATA_DIR?: string; REDIS_URL?: string },
  dump: () => Promise<string>,
  close: () => Promise<void>,
): Backend {
  return {
    env,
    async open(clock) {
      const stores = openStores({
        redisUrl: env.REDIS_URL ?? "",
        dataDir: env.DATA_DIR ?? "",
        logger: createLogger({ service: "test", level: "silent" }),
        check: { set: () => undefined },
        clock,
      });
      await stores.ready(AbortSignal.timeout(5_000));
      return stores;
    },
    dump,
    close,
  };
}
