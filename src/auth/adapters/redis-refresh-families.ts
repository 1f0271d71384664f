import type { Cluster, Redis } from "ioredis";
import { guarded } from "../../shared/store/redis-errors.ts";
import { runScript, script } from "../../shared/store/redis-script.ts";
import type { RefreshFamilyStore, RefreshOutcome } from "../domain/tokens/refresh-families.ts";
import { refreshFamilyKey } from "./redis-token-keys.ts";

/** How long Redis keeps what has expired: its clock and ours may differ. */
const slackMs = 60_000;

/**
 * Arguments: series, presented, successor, sealed successor, client, now, grace. Answers the outcome, and the sealed successor
 * where it is repeated.
 */
const useScript = script(`
local series, presented, successor, sealed, client, now, grace = unpack(ARGV)
local names = { 'series', 'current', 'previous', 'issued', 'successor', 'client' }
local family = redis.call('HMGET', KEYS[1], unpack(names))
if family[1] ~= series or (family[6] ~= '' and family[6] ~= client) then return { 'unknown' } end
if family[2] == presented then
  redis.call('HSET', KEYS[1], 'current', successor, 'previous', presented, 'issued', now,
    'successor', sealed, 'client', client)
  return { 'rotated' }
end
if family[2] ~= '' and family[3] == presented and tonumber(now) - tonumber(family[4]) < tonumber(grace) then
  return { 'repeated', family[5] }
end
redis.call('HSET', KEYS[1], 'current', '', 'previous', '', 'successor', '')
return { 'reused' }
`);

/** Arguments: when Redis may drop it, then pairs of fields and values. */
const addScript = script(`
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIREAT', KEYS[1], ARGV[1])
`);

/** Keeps refresh families in Redis, each in one hash. */
export function createRedisRefreshFamilyStore(redis: Redis | Cluster): RefreshFamilyStore {
  return {
    add: ({ partition, sessionId, seriesHash, currentHash, issueTime, client, scopes, expireTime }) =>
      guarded(async () => {
        const fields = { series: seriesHash, current: currentHash, previous: "", issued: issueTime, successor: "" };
        const rest = { client, scopes: JSON.stringify(scopes), expires: expireTime };
        const pairs = Object.entries({ ...fields, ...rest }).flat();
        await runScript(redis, addScript, [refreshFamilyKey(partition, sessionId)], [expireTime + slackMs, ...pairs]);
      }),
    find: (partition, sessionId) =>
      guarded(async () => {
        const fields = ["series", "current", "issued", "client", "scopes", "expires"] as const;
        const values = await redis.hmget(refreshFamilyKey(partition, sessionId), ...fields);
        const [seriesHash, currentHash, issued, client, scopes, expires] = values;
        if (typeof seriesHash !== "string") return undefined;
        return {
          sessionId,
          partition,
          seriesHash,
          currentHash: currentHash!,
          issueTime: Number(issued),
          client: client!,
          scopes: JSON.parse(scopes!) as string[],
          expireTime: Number(expires),
        };
      }),
    use: ({ partition, sessionId, ...use }) =>
      guarded(async () => {
        const { seriesHash, presentedHash, successorHash, sealedSuccessor, client, now, graceMs } = use;
        const args = [seriesHash, presentedHash, successorHash, sealedSuccessor, client, now, graceMs];
        const [kind, sealed] = (await runScript(redis, useScript, [refreshFamilyKey(partition, sessionId)], args)) as [
          RefreshOutcome["kind"],
          string?,
        ];
        return kind === "repeated" ? { kind, sealedSuccessor: sealed! } : { kind };
      }),
    remove: (partition, sessionId) =>
      guarded(async () => {
        await redis.del(refreshFamilyKey(partition, sessionId));
      }),
  };
}
