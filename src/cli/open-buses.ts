import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Bus, createBus } from "../shared/bus/bus.ts";
import { createRedisLog } from "../shared/bus/redis-log.ts";
import { createSqliteLog } from "../shared/bus/sqlite-log.ts";
import type { Topic } from "../shared/bus/topic.ts";
import { topics } from "../shared/bus/topics.ts";
import { ServiceError } from "../shared/service-error.ts";
import { createRedisConnector } from "../shared/store/redis.ts";
import { RedisUrlError } from "../shared/store/redis-url.ts";
import { openSqlite } from "../shared/store/sqlite.ts";
import { CommandError, type CommandInput, type CommandOption, UsageError } from "./command.ts";

/** Options of every command that goes to the store itself. */
export const storeOptions: { readonly [name: string]: CommandOption } = {
  service: {
    type: "string",
    placeholder: "auth|policy",
    description: "Which service's embedded store; without, both. Redis is one for both.",
  },
};

/** Said in the help of each such command. */
export const storeDetails =
  "Opens the store itself, as the services do: Redis at REDIS_URL, or else the embedded store in DATA_DIR (./.gatehouse).";

/** A bus and where it is: `redis`, or the service whose embedded store has it. */
export interface OpenBus {
  readonly store: string;
  readonly bus: Bus;
}

/**
 * Runs `work` with the buses that the environment names.
 *
 * @throws CommandError when there is no store, and for whatever it refuses.
 */
export async function withBuses<T>(
  { values }: Pick<CommandInput, "values">,
  work: (buses: readonly OpenBus[]) => Promise<T>,
): Promise<T> {
  const buses = openBuses(values.service);
  try {
    return await work(buses);
  } catch (error) {
    throw error instanceof ServiceError ? new CommandError(`${error.message} (${error.code}, ${error.reason})`) : error;
  } finally {
    await Promise.all(buses.map(({ bus }) => bus.close()));
  }
}

function openBuses(service: unknown): readonly OpenBus[] {
  const { REDIS_URL: url = "", DATA_DIR: directory = "" } = process.env;
  if (url !== "") return [{ store: "redis", bus: openRedisBus(url) }];
  if (service !== undefined && service !== "auth" && service !== "policy") {
    throw new UsageError("--service must be auth or policy");
  }
  const found = ["auth", "policy"].flatMap((store) => {
    const path = join(directory || ".gatehouse", `${store}.db`);
    if ((service !== undefined && service !== store) || !existsSync(path)) return [];
    return [{ store, bus: createBus({ log: createSqliteLog({ database: openSqlite(path), pollMs: 25 }) }) }];
  });
  if (found.length === 0) {
    throw new CommandError(`There is no store in ${directory || ".gatehouse"}: set REDIS_URL or DATA_DIR.`);
  }
  return found;
}

function openRedisBus(url: string): Bus {
  try {
    return createBus({ log: createRedisLog({ connect: createRedisConnector({ url }) }) });
  } catch (error) {
    throw error instanceof RedisUrlError ? new CommandError(`REDIS_URL: ${error.message}`) : error;
  }
}

/** @throws UsageError when there is no topic of this name. */
export function topicNamed(name: string): Topic {
  const topic = topics.get(name);
  if (topic === undefined)
    throw new UsageError(`there is no topic ${name}; there are ${[...topics.keys()].join(", ")}`);
  return topic;
}
