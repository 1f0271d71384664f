import { once } from "node:events";
import { join } from "node:path";
import type { Logger } from "pino";
import type { ReadinessCheck } from "../shared/lifecycle/readiness.ts";
import { createRedisConnector } from "../shared/store/redis.ts";
import { tellRedisState } from "../shared/store/redis-readiness.ts";
import { openSqlite } from "../shared/store/sqlite.ts";
import { createRedisApiKeyStore } from "./adapters/redis-api-keys.ts";
import { createRedisIdentityStore } from "./adapters/redis-identities.ts";
import { createRedisLockoutStore } from "./adapters/redis-lockout.ts";
import { createRedisSecondFactorStore } from "./adapters/redis-second-factors.ts";
import { createRedisSessionStore } from "./adapters/redis-sessions.ts";
import { createSqliteApiKeyStore } from "./adapters/sqlite-api-keys.ts";
import { createSqliteIdentityStore } from "./adapters/sqlite-identities.ts";
import { createSqliteLockoutStore } from "./adapters/sqlite-lockout.ts";
import { createSqliteSecondFactorStore } from "./adapters/sqlite-second-factors.ts";
import { createSqliteSessionStore } from "./adapters/sqlite-sessions.ts";
import type { ApiKeyStore } from "./domain/api-keys.ts";
import type { IdentityStore } from "./domain/identities.ts";
import type { LockoutStore } from "./domain/lockout.ts";
import type { SecondFactorStore } from "./domain/second-factors.ts";
import type { SessionStore } from "./domain/sessions.ts";

/** All that auth-service keeps. */
export interface Stores {
  readonly identities: IdentityStore;
  readonly sessions: SessionStore;
  readonly apiKeys: ApiKeyStore;
  readonly lockout: LockoutStore;
  readonly secondFactors: SecondFactorStore;
  /** Waits until the store can be used. Rejects with `signal`'s reason when it aborts first. */
  ready(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export interface StoresOptions {
  /** Redis to use; empty for the embedded store. */
  readonly redisUrl: string;
  /** Directory of the embedded store. */
  readonly dataDir: string;
  readonly logger: Logger;
  /** Told whether the store can be used, from now on. */
  readonly check: ReadinessCheck;
}

/**
 * Opens Redis where it is configured, the embedded store otherwise.
 *
 * A Redis that is not there yet is not an error: calls are refused with UNAVAILABLE until it is.
 *
 * @throws SqliteOpenError, MigrationError, RedisUrlError
 */
export function openStores(options: StoresOptions): Stores {
  return options.redisUrl === "" ? openEmbedded(options) : openRedis(options);
}

function openEmbedded({ dataDir, check }: StoresOptions): Stores {
  const database = openSqlite(join(dataDir, "auth.db"));
  const sessions = createSqliteSessionStore(database);
  const identities = createSqliteIdentityStore(database);
  const apiKeys = createSqliteApiKeyStore(database);
  const lockout = createSqliteLockoutStore(database);
  const secondFactors = createSqliteSecondFactorStore(database);
  check.set(true);
  return {
    identities,
    sessions,
    apiKeys,
    lockout,
    secondFactors,
    ready: async () => {},
    close: async () => database.close(),
  };
}

function openRedis({ redisUrl, logger, check }: StoresOptions): Stores {
  const redis = createRedisConnector({ url: redisUrl })("commands");
  check.set(false, "connecting to Redis");
  tellRedisState(redis, logger, (ok, detail) => check.set(ok, detail));
  return {
    identities: createRedisIdentityStore(redis),
    sessions: createRedisSessionStore(redis),
    apiKeys: createRedisApiKeyStore(redis),
    lockout: createRedisLockoutStore(redis),
    secondFactors: createRedisSecondFactorStore(redis),
    async ready(signal) {
      if (redis.status !== "ready") await once(redis, "ready", { signal });
    },
    async close() {
      redis.disconnect();
    },
  };
}
