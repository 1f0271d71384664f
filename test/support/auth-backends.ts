import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStores, type Stores } from "../../src/auth/stores.ts";
import { createLogger } from "../../src/shared/logger/logger.ts";
import { type RedisServer, startRedisServer } from "./redis-server.ts";

/** A place that keeps what auth-service has to keep. */
export interface AuthBackend {
  /** Opens it once more, as another replica does. */
  open(): Promise<Stores>;
  close(): Promise<void>;
}

/** Opens Redis, or SQLite where the URL is empty. */
export async function openAuthStores(redisUrl: string, dataDir: string): Promise<Stores> {
  const logger = createLogger({ service: "test", level: "silent" });
  const stores = openStores({ redisUrl, dataDir, logger, check: { set: () => undefined } });
  await stores.ready(AbortSignal.timeout(5_000));
  return stores;
}

/** Every store that auth-service can be given. */
export const authBackends: Readonly<Record<string, () => Promise<AuthBackend>>> = {
  SQLite: async () => {
    const dir = mkdtempSync(join(tmpdir(), "gatehouse-stores-"));
    return { open: () => openAuthStores("", dir), close: async () => rmSync(dir, { recursive: true }) };
  },
  Redis: async () => {
    const server = await startRedisServer();
    return { open: () => openAuthStores(server.url, ""), close: () => server.stop() };
  },
  "Redis Cluster": async () => {
    const server: RedisServer = await startRedisServer({ cluster: true });
    const url = `redis+cluster://127.0.0.1:${server.port}`;
    return { open: () => openAuthStores(url, ""), close: () => server.stop() };
  },
};
