import type { Cluster, Redis } from "ioredis";
import type { Logger } from "pino";
import { withoutCommand } from "./redis-errors.ts";

/** Tells the log of every change in a connection, not of every attempt to connect; and `onState`, with a detail. */
export function tellRedisState(
  redis: Redis | Cluster,
  logger: Logger,
  onState: (ok: boolean, detail?: string) => void = () => undefined,
): void {
  let lastMessage: string | undefined;
  redis.on("ready", () => {
    lastMessage = undefined;
    logger.info("connected to Redis");
    onState(true);
  });
  redis.on("close", () => onState(false, "Redis cannot be reached"));
  redis.on("error", (error: unknown) => {
    const err = withoutCommand(error);
    if (err.message !== lastMessage) logger.warn({ err }, "Redis cannot be reached");
    lastMessage = err.message;
  });
}
