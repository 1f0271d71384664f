import { join } from "node:path";
import type { Logger } from "pino";
import { type Bus, createBus } from "../shared/bus/bus.ts";
import type { BusObserver } from "../shared/bus/metrics.ts";
import { createRedisLog } from "../shared/bus/redis-log.ts";
import { createSqliteLog } from "../shared/bus/sqlite-log.ts";
import { createRedisConnector } from "../shared/store/redis.ts";
import { tellRedisState } from "../shared/store/redis-readiness.ts";
import { openSqlite } from "../shared/store/sqlite.ts";
import { createRedisEntityRepository } from "./adapters/redis-entities.ts";
import { createRedisRevisionStore } from "./adapters/redis-revisions.ts";
import { createSqliteEntityRepository } from "./adapters/sqlite-entities.ts";
import { createSqliteRevisionStore } from "./adapters/sqlite-revisions.ts";
import type { EntityRepository } from "./domain/entity-repository.ts";
import type { RevisionStore } from "./domain/revision-store.ts";

/** All that policy-service keeps, and the bus on which its replicas tell each other of changes. */
export interface PolicyStores {
  readonly revisions: RevisionStore;
  readonly entities: EntityRepository;
  readonly bus: Bus;
  close(): Promise<void>;
}

export interface PolicyStoresOptions {
  /** Redis to use; empty for the embedded store. */
  readonly redisUrl: string;
  /** Directory of the embedded store. */
  readonly dataDir: string;
  readonly logger: Logger;
  /** Told how the bus fares. */
  readonly busObserver?: BusObserver;
}

/** How often to look for what other local processes have published, in milliseconds. */
const pollMs = 25;

/**
 * Opens Redis where it is configured, the embedded store otherwise. A Redis that is not there yet is not an error.
 *
 * @throws SqliteOpenError, MigrationError, RedisUrlError
 */
export function openPolicyStores({ redisUrl, dataDir, logger, busObserver = {} }: PolicyStoresOptions): PolicyStores {
  if (redisUrl !== "") return openRedis(redisUrl, logger, busObserver);
  const database = openSqlite(join(dataDir, "policy.db"));
  const bus = createBus({ log: createSqliteLog({ database, pollMs }), observer: busObserver });
  return {
    revisions: createSqliteRevisionStore(database),
    entities: createSqliteEntityRepository(database),
    bus,
    async close() {
      await bus.close();
      database.close();
    },
  };
}

function openRedis(url: string, logger: Logger, observer: BusObserver): PolicyStores {
  const connect = createRedisConnector({ url });
  const redis = connect("commands");
  tellRedisState(redis, logger);
  const bus = createBus({ log: createRedisLog({ connect }), observer });
  return {
    revisions: createRedisRevisionStore(redis),
    entities: createRedisEntityRepository(redis),
    bus,
    async close() {
      await bus.close();
      redis.disconnect();
    },
  };
}
