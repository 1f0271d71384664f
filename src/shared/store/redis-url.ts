/** The address of a node. */
export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

/** Where Redis is and how to sign in. */
export interface RedisAddress {
  readonly kind: "single" | "cluster" | "sentinel";
  /** The server; some nodes of the cluster; or the sentinels. */
  readonly nodes: readonly RedisNode[];
  /** Name of the primary, with sentinels only. */
  readonly primary?: string;
  readonly tls: boolean;
  readonly username?: string;
  readonly password?: string;
  readonly database: number;
}

/** The URL is not of a known form. Never repeats the URL: it may hold a password. */
export class RedisUrlError extends Error {
  override readonly name = "RedisUrlError";
}

const shape =
  /^redis(?<tls>s)?(?:\+(?<kind>cluster|sentinel))?:\/\/(?:(?<user>[^:@/]*)(?::(?<password>[^@/]*))?@)?(?<nodes>[^@/?#]+)(?:\/(?<path>[^?#]*))?$/;

/**
 * Reads the forms of a Redis URL:
 *
 * - `redis://[user:password@]host[:6379][/database]`, and `rediss://` for TLS
 * - `redis+cluster://[user:password@]host[:6379],host[:6379],…`, and `rediss+cluster://`
 * - `redis+sentinel://[user:password@]host[:26379],host[:26379],…/primary[/database]`, and `rediss+sentinel://`
 *
 * User and password are percent-encoded, and those of the Redis servers: sentinels are asked without.
 *
 * @throws RedisUrlError
 */
export function parseRedisUrl(url: string): RedisAddress {
  const groups = shape.exec(url)?.groups;
  if (groups === undefined) {
    throw new RedisUrlError(
      "must be redis://…, rediss://…, redis+cluster://host,host or redis+sentinel://host,host/primary",
    );
  }
  const kind = (groups.kind ?? "single") as RedisAddress["kind"];
  const nodes = groups.nodes!.split(",").map((text) => parseNode(text, kind === "sentinel" ? 26_379 : 6_379));
  if (kind === "single" && nodes.length > 1)
    throw new RedisUrlError("names several hosts: use redis+cluster:// for them");
  const path = (groups.path ?? "").split("/").filter((part) => part !== "");
  const primary = kind === "sentinel" ? path.shift() : undefined;
  if (kind === "sentinel" && primary === undefined) {
    throw new RedisUrlError("must name the primary after the sentinels: redis+sentinel://host,host/primary");
  }
  const database = parseDatabase(path, kind);
  const username = decode(groups.user);
  const password = decode(groups.password);
  return {
    kind,
    nodes,
    tls: groups.tls !== undefined,
    database,
    ...(primary === undefined ? {} : { primary: decode(primary) ?? "" }),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  };
}

function parseNode(text: string, defaultPort: number): RedisNode {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text);
  const port = Number(match?.[3] ?? defaultPort);
  if (match === null || port < 1 || port > 65_535) throw new RedisUrlError("has a host or port that is not valid");
  return { host: (match[1] ?? match[2])!, port };
}

function parseDatabase(path: readonly string[], kind: RedisAddress["kind"]): number {
  const [text = "0", ...rest] = path;
  if (rest.length > 0 || !/^\d{1,4}$/.test(text)) throw new RedisUrlError("must end with a database number or nothing");
  if (kind === "cluster" && Number(text) !== 0)
    throw new RedisUrlError("cannot choose a database: a cluster has only 0");
  return Number(text);
}

function decode(text: string | undefined): string | undefined {
  if (text === undefined || text === "") return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    throw new RedisUrlError("has a user or password that is not percent-encoded");
  }
}
