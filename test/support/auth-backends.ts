import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStores, type Stores } from "../../src/auth/stores.ts";
import { createLogger } from "../../src/shared/logger/logger.ts";
import { startRedisServer } from "./redis-server.ts";

/** One place to keep things, which can be opened more than once. */
export interface Backend {
  open(): Promise<Stores>;
  close(): Promise<void>;
}

/** Opens the stores of auth-service: on Redis, or, without a URL, in a directory. */
export async function openAuthStores(redisUrl: string, dataDir: string): Promise<Stores> {
  const logger = createLogger({ service: "test", level: "silent" });
  const stores = openStores({ redisUrl, dataDir, logger, check: { set: () => undefined } });
  await stores.ready(AbortSignal.timeout(5_000));
  return stores;
}

/** Every store that auth-service can be given. */
export const authBackends: Readonly<Record<string, () => Promise<Backend>>> = {
  SQLite: async () => {
    const dir = mkdtempSync(join(tmpdir(), "gatehouse-stores-"));
    return { open: () => openAuthStores("", dir), close: async () => rmSync(dir, { recursive: true }) };
  },
  Redis: async () => {
    const server = await startRedisServer();
    return { open: () => openAuthStores(server.url, ""), close: () => server.stop() };
  },
  "Redis Cluster": async () => {
    const server = await startRedisServer({ cluster: true });
    const url = `redis+cluster://127.0.0.1:${server.port}`;
    return { open: () => openAuthStores(url, ""), close: () => server.stop() };
  },
};
