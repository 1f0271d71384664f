import { Cluster, Redis } from "ioredis";

/** One Redis, or a Redis Cluster by some of its nodes. */
export type RedisTarget = { readonly url: string } | { readonly nodes: readonly { host: string; port: number }[] };

/** What a connection is for. */
export type RedisUse = "commands" | "blocking";

/** Opens connections of a kind to one Redis. */
export type RedisConnector = (use: RedisUse) => Redis | Cluster;

const reconnect = (attempt: number): number =>
  Math.min(1_000, 20 * 2 ** Math.min(attempt, 10)) * (1 - Math.random() / 2);
/** Never reconnects. */
const end = (): null => null;

/** Fails at once while the connection is down, within a second while Redis does not answer, and reconnects meanwhile. */
const commandOptions = {
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  commandTimeout: 1_000,
  // A peer that vanished without a word is given up on, rather than waited for as long as TCP would.
  socketTimeout: 2_000,
  connectTimeout: 2_000,
  // After a failover the old primary answers READONLY: look for the new one.
  reconnectOnError: (error: Error) => error.message.startsWith("READONLY"),
};

/** For reads that block for a second at most. Ends when it breaks: its user opens another. */
const blockingOptions = {
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  socketTimeout: 3_000,
  connectTimeout: 2_000,
};

export function createRedisConnector(target: RedisTarget): RedisConnector {
  return (use) => {
    const blocking = use === "blocking";
    const options = blocking ? blockingOptions : commandOptions;
    const retryStrategy = blocking ? end : reconnect;
    const enableOfflineQueue = blocking;
    if ("url" in target) return new Redis(target.url, { ...options, retryStrategy, enableOfflineQueue });
    const nodes = target.nodes.map(({ host, port }) => ({ host, port }));
    return new Cluster(nodes, { redisOptions: options, clusterRetryStrategy: retryStrategy, enableOfflineQueue });
  };
}
