import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startRedisServer } from "../../../test/support/redis-server.ts";
import { createRedisConnector } from "../../shared/store/redis.ts";
import { openSqlite } from "../../shared/store/sqlite.ts";
import { createRedisApiKeyStore } from "../adapters/redis-api-keys.ts";
import { createRedisIdentityStore } from "../adapters/redis-identities.ts";
import { createRedisLockoutStore } from "../adapters/redis-lockout.ts";
import { createRedisSecondFactorStore } from "../adapters/redis-second-factors.ts";
import { createRedisSessionStore } from "../adapters/redis-sessions.ts";
import { createSqliteApiKeyStore } from "../adapters/sqlite-api-keys.ts";
import { createSqliteIdentityStore } from "../adapters/sqlite-identities.ts";
import { createSqliteLockoutStore } from "../adapters/sqlite-lockout.ts";
import { createSqliteSecondFactorStore } from "../adapters/sqlite-second-factors.ts";
import { createSqliteSessionStore } from "../adapters/sqlite-sessions.ts";
import type { ApiKeyStore } from "../domain/api-keys.ts";
import type { IdentityStore } from "../domain/identities.ts";
import type { LockoutStore } from "../domain/lockout.ts";
import type { SecondFactorStore } from "../domain/second-factors.ts";
import type { SessionStore } from "../domain/sessions.ts";

/** One connection to it. */
export interface StoreReplica {
  readonly sessions: SessionStore;
  readonly identities: IdentityStore;
  readonly apiKeys: ApiKeyStore;
  readonly lockout: LockoutStore;
  readonly secondFactors: SecondFactorStore;
}

/** A store for the contract suites. */
export interface StoreBackend extends StoreReplica {
  /** The same data through a connection of its own, as another replica has it. */
  readonly replica: StoreReplica;
  close(): Promise<void>;
}

async function openSqliteBackend(): Promise<StoreBackend> {
  const directory = mkdtempSync(join(tmpdir(), "gatehouse-store-"));
  const databases = [0, 1].map(() => openSqlite(join(directory, "auth.db")));
  const [first, second] = databases.map((database) => ({
    sessions: createSqliteSessionStore(database),
    identities: createSqliteIdentityStore(database),
    apiKeys: createSqliteApiKeyStore(database),
    lockout: createSqliteLockoutStore(database),
    secondFactors: createSqliteSecondFactorStore(database),
  }));
  return {
    ...first!,
    replica: second!,
    async close() {
      for (const database of databases) database.close();
      rmSync(directory, { recursive: true });
    },
  };
}

async function openRedisBackend(cluster: boolean): Promise<StoreBackend> {
  const server = await startRedisServer({ cluster });
  const connect = createRedisConnector({ url: cluster ? `redis+cluster://127.0.0.1:${server.port}` : server.url });
  const connections = [connect("commands"), connect("commands")];
  await Promise.all(connections.map((redis) => new Promise<void>((resolve) => redis.once("ready", () => resolve()))));
  const [first, second] = connections.map((redis) => ({
    sessions: createRedisSessionStore(redis),
    identities: createRedisIdentityStore(redis),
    apiKeys: createRedisApiKeyStore(redis),
    lockout: createRedisLockoutStore(redis),
    secondFactors: createRedisSecondFactorStore(redis),
  }));
  return {
    ...first!,
    replica: second!,
    async close() {
      for (const redis of connections) redis.disconnect();
      await server.stop();
    },
  };
}

/** Every kind of store there is. */
export const storeBackends: Readonly<Record<string, () => Promise<StoreBackend>>> = {
  SQLite: openSqliteBackend,
  Redis: () => openRedisBackend(false),
  "Redis Cluster": () => openRedisBackend(true),
};
