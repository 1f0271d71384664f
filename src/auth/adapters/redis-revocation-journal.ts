import type { Cluster, Redis } from "ioredis";
import { guarded } from "../../shared/store/redis-errors.ts";
import type { BegunRevocation, RevocationJournal } from "../domain/revocation-journal.ts";
import { begunRevocationsKey as key } from "./redis-token-keys.ts";

/** Keeps revocations that were begun in a sorted set in Redis. */
export function createRedisRevocationJournal(redis: Redis | Cluster): RevocationJournal {
  return {
    begin: (begun) =>
      guarded(async () => {
        await redis.zadd(key, begun.time, toMember(begun));
      }),
    finish: (begun) =>
      guarded(async () => {
        await redis.zrem(key, toMember(begun));
      }),
    unfinished: (before, limit) =>
      guarded(async () => {
        const members = await redis.zrange(key, "-inf", `(${before}`, "BYSCORE", "LIMIT", 0, limit);
        return members.map((member) => JSON.parse(member) as BegunRevocation);
      }),
  };
}

/** The same text for the same revocation, also after it was read: the order of an object's properties is kept. */
function toMember({ id, time, revocation }: BegunRevocation): string {
  return JSON.stringify({ id, time, revocation });
}
