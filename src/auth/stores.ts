import { once } from "node:events";
import { join } from "node:path";
import type { Logger } from "pino";
import { type Bus, createBus } from "../shared/bus/bus.ts";
import type { BusObserver } from "../shared/bus/metrics.ts";
import { createRedisLog } from "../shared/bus/redis-log.ts";
import { createSqliteLog } from "../shared/bus/sqlite-log.ts";
import type { ReadinessCheck } from "../shared/lifecycle/readiness.ts";
import { createRedisConnector } from "../shared/store/redis.ts";
import { tellRedisState } from "../shared/store/redis-readiness.ts";
import { openSqlite } from "../shared/store/sqlite.ts";
import { createRedisApiKeyStore } from "./adapters/redis-api-keys.ts";
import { createRedisClientStore } from "./adapters/redis-clients.ts";
import { createRedisIdentityStore } from "./adapters/redis-identities.ts";
import { createRedisLockoutStore } from "./adapters/redis-lockout.ts";
import { createRedisRefreshFamilyStore } from "./adapters/redis-refresh-families.ts";
import { createRedisRevocationJournal } from "./adapters/redis-revocation-journal.ts";
import { createRedisRevocationStore } from "./adapters/redis-revocations.ts";
import { createRedisSecondFactorStore } from "./adapters/redis-second-factors.ts";
import { createRedisSessionStore } from "./adapters/redis-sessions.ts";
import { createRedisSigningKeyStore } from "./adapters/redis-signing-keys.ts";
import { createSqliteApiKeyStore } from "./adapters/sqlite-api-keys.ts";
import { createSqliteClientStore } from "./adapters/sqlite-clients.ts";
import { createSqliteIdentityStore } from "./adapters/sqlite-identities.ts";
import { createSqliteLockoutStore } from "./adapters/sqlite-lockout.ts";
import { createSqliteRefreshFamilyStore } from "./adapters/sqlite-refresh-families.ts";
import { createSqliteRevocationJournal } from "./adapters/sqlite-revocation-journal.ts";
import { createSqliteRevocationStore } from "./adapters/sqlite-revocations.ts";
import { createSqliteSecondFactorStore } from "./adapters/sqlite-second-factors.ts";
import { createSqliteSessionStore } from "./adapters/sqlite-sessions.ts";
import { createSqliteSigningKeyStore } from "./adapters/sqlite-signing-keys.ts";
import type { ApiKeyStore } from "./domain/api-keys.ts";
import type { ClientStore } from "./domain/clients.ts";
import type { Clock } from "./domain/clock.ts";
import type { IdentityStore } from "./domain/identities.ts";
import type { LockoutStore } from "./domain/lockout.ts";
import type { RevocationJournal } from "./domain/revocation-journal.ts";
import type { RevocationStore } from "./domain/revocations.ts";
import type { SecondFactorStore } from "./domain/second-factors.ts";
import type { SessionStore } from "./domain/sessions.ts";
import type { RefreshFamilyStore } from "./domain/tokens/refresh-families.ts";
import type { SigningKeyStore } from "./domain/tokens/signing-keys.ts";

/** All that auth-service keeps. */
export interface Stores {
  readonly identities: IdentityStore;
  readonly sessions: SessionStore;
  readonly signingKeys: SigningKeyStore;
  readonly refreshFamilies: RefreshFamilyStore;
  readonly revocations: RevocationStore;
  readonly revocationJournal: RevocationJournal;
  readonly clients: ClientStore;
  readonly apiKeys: ApiKeyStore;
  /** Carries announcements between replicas. */
  readonly bus: Bus;
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
  /** Tells the embedded store what has expired. Default: the system's. */
  readonly clock?: Clock;
  /** Told how the bus fares. */
  readonly busObserver?: BusObserver;
}

/** How often to look for what other local processes have published, in milliseconds. */
const pollMs = 10;

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

function openEmbedded({ dataDir, check, clock = Date.now, busObserver = {} }: StoresOptions): Stores {
  const database = openSqlite(join(dataDir, "auth.db"));
  const bus = createBus({ log: createSqliteLog({ database, pollMs, now: clock }), observer: busObserver });
  const stores: Stores = {
    identities: createSqliteIdentityStore(database),
    sessions: createSqliteSessionStore(database),
    signingKeys: createSqliteSigningKeyStore(database),
    refreshFamilies: createSqliteRefreshFamilyStore(database),
    revocations: createSqliteRevocationStore(database, clock),
    revocationJournal: createSqliteRevocationJournal(database),
    clients: createSqliteClientStore(database, clock),
    apiKeys: createSqliteApiKeyStore(database),
    bus,
    lockout: createSqliteLockoutStore(database),
    secondFactors: createSqliteSecondFactorStore(database),
    ready: async () => {},
    async close() {
      await bus.close();
      database.close();
    },
  };
  check.set(true);
  return stores;
}

function openRedis({ redisUrl, logger, check, busObserver = {} }: StoresOptions): Stores {
  const connect = createRedisConnector({ url: redisUrl });
  const redis = connect("commands");
  const bus = createBus({ log: createRedisLog({ connect }), observer: busObserver });
  check.set(false, "connecting to Redis");
  tellRedisState(redis, logger, (ok, detail) => check.set(ok, detail));
  return {
    identities: createRedisIdentityStore(redis),
    sessions: createRedisSessionStore(redis),
    signingKeys: createRedisSigningKeyStore(redis),
    refreshFamilies: createRedisRefreshFamilyStore(redis),
    revocations: createRedisRevocationStore(redis),
    revocationJournal: createRedisRevocationJournal(redis),
    clients: createRedisClientStore(redis),
    apiKeys: createRedisApiKeyStore(redis),
    bus,
    lockout: createRedisLockoutStore(redis),
    secondFactors: createRedisSecondFactorStore(redis),
    async ready(signal) {
      if (redis.status !== "ready") await once(redis, "ready", { signal });
    },
    async close() {
      await bus.close();
      redis.disconnect();
    },
  };
}
