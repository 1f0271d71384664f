import { createHash } from "node:crypto";
import type { Cluster, Redis } from "ioredis";

/** A Lua script that Redis runs as one atomic step. All its keys share a hash tag. */
export interface RedisScript {
  readonly lua: string;
  readonly sha: string;
}

export function script(lua: string): RedisScript {
  return { lua, sha: createHash("sha1").update(lua).digest("hex") };
}

/** Runs a script by its hash, and by its text where Redis has not seen it yet or has forgotten it. */
export async function runScript(
  redis: Redis | Cluster,
  { sha, lua }: RedisScript,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  try {
    return await redis.evalsha(sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
    return redis.eval(lua, keys.length, ...keys, ...args);
  }
}
