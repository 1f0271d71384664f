import type { Log } from "../../src/shared/bus/log.ts";
import { createRedisLog } from "../../src/shared/bus/redis-log.ts";
import { createSqliteLog } from "../../src/shared/bus/sqlite-log.ts";
import { createRedisConnector } from "../../src/shared/store/redis.ts";
import { openSqlite } from "../../src/shared/store/sqlite.ts";

/** Opens the log of a store named by a SQLite file, a `redis://` address, or `redis+cluster://host:port`. */
export function openTestLog(store: string): Log {
  if (/^redis(\+cluster)?:\/\//.test(store)) return createRedisLog({ connect: createRedisConnector({ url: store }) });
  return createSqliteLog({ database: openSqlite(store) });
}
