import { Cluster, Redis, type RedisOptions } from "ioredis";
import { parseRedisUrl, type RedisAddress } from "./redis-url.ts";

/** Which Redis: a URL in one of the forms of parseRedisUrl. */
export interface RedisTarget {
  readonly url: string;
}

/** What a connection is for. */
export type RedisUse = "commands" | "blocking";

/** Opens connections of a kind to one Redis. Errors of the connection are emitted as `error` events. */
export type RedisConnector = (use: RedisUse) => Redis | Cluster;

/** Replies come in one form only; the option for others gets in the way of the types. */
type Options = Omit<RedisOptions, "replyMapping">;

/** Waits ever longer between attempts, up to a second, with jitter so that replicas do not come all at once. */
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
} satisfies Options;

/** For reads that block for a second at most. Ends when it breaks: its user opens another. */
const blockingOptions = {
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  socketTimeout: 3_000,
  connectTimeout: 2_000,
} satisfies Options;

/**
 * Creates the opener of connections to one Redis, Redis Cluster or Sentinel-managed primary.
 *
 * @throws RedisUrlError
 */
export function createRedisConnector(target: RedisTarget): RedisConnector {
  const address = parseRedisUrl(target.url);
  return (use) => {
    const blocking = use === "blocking";
    const options: Options = {
      ...(blocking ? blockingOptions : commandOptions),
      ...accountOf(address),
    };
    return connect(address, options, blocking ? end : reconnect, blocking);
  };
}

function accountOf({ tls, username, password }: RedisAddress): Options {
  return {
    ...(tls ? { tls: {} } : {}),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  };
}

function connect(
  address: RedisAddress,
  options: Options,
  retryStrategy: (attempt: number) => number | null,
  enableOfflineQueue: boolean,
): Redis | Cluster {
  const nodes = address.nodes.map((node) => ({ ...node }));
  switch (address.kind) {
    case "single":
      return new Redis({ ...options, ...nodes[0]!, db: address.database, retryStrategy, enableOfflineQueue });
    case "sentinel":
      return new Redis({
        ...options,
        sentinels: nodes,
        name: address.primary ?? "",
        db: address.database,
        enableTLSForSentinelMode: address.tls,
        ...(address.tls ? { sentinelTLS: {} } : {}),
        sentinelRetryStrategy: retryStrategy,
        retryStrategy,
        enableOfflineQueue,
      });
    case "cluster":
      return new Cluster(nodes, {
        redisOptions: options,
        clusterRetryStrategy: retryStrategy,
        enableOfflineQueue,
        // Reads of a replica could miss what was just revoked.
        scaleReads: "master",
      });
  }
}
