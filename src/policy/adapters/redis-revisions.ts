import type { Cluster, Redis } from "ioredis";
import { guarded } from "../../shared/store/redis-errors.ts";
import { runScript, script } from "../../shared/store/redis-script.ts";
import { revisionId } from "../domain/build-snapshot.ts";
import type { PolicySource } from "../domain/policy-source.ts";
import {
  initialState,
  keptRevisions,
  type PolicyState,
  type RevisionStore,
  type StoredRevision,
} from "../domain/revision-store.ts";
import {
  hashesKey,
  orderKey,
  revisionsKey,
  sequenceKey,
  shadowReportsKey,
  sourcesKey,
  stateKey,
} from "./redis-keys.ts";

/**
 * Keys: sequence, revisions, sources, hashes, order, state. Arguments: content hash, its first twelve digits, revision as
 * JSON without id and sequence, source, revisions to keep. Answers the id and the revision as stored.
 *
 * Removes what is too old, unless the state names it.
 */
const publishScript = script(`
local known = redis.call('HGET', KEYS[4], ARGV[1])
if known then return { known, redis.call('HGET', KEYS[2], known) } end
local sequence = redis.call('INCR', KEYS[1])
local id = sequence .. '-' .. ARGV[2]
redis.call('HSET', KEYS[2], id, ARGV[3])
redis.call('HSET', KEYS[3], id, ARGV[4])
redis.call('HSET', KEYS[4], ARGV[1], id)
redis.call('ZADD', KEYS[5], sequence, id)
local named = {}
local state = redis.call('HGET', KEYS[6], 'state')
if state then
  state = cjson.decode(state)
  named[state.active] = true
  for _, revision in ipairs(state.history) do named[revision] = true end
  if state.shadow then named[state.shadow.revision] = true end
end
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', sequence - ARGV[5])) do
  if not named[old] then
    local hash = cjson.decode(redis.call('HGET', KEYS[2], old)).contentHash
    redis.call('HDEL', KEYS[2], old)
    redis.call('HDEL', KEYS[3], old)
    redis.call('HDEL', KEYS[4], hash)
    redis.call('ZREM', KEYS[5], old)
  end
end
return { id, ARGV[3] }
`);

/** Keys: state. Arguments: generation, state. */
const changeScript = script(`
local generation = tonumber(redis.call('HGET', KEYS[1], 'generation') or '0')
if generation ~= ARGV[1] - 1 then return 0 end
redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'state', ARGV[2])
return 1
`);

/** How long a replica's report is kept after it last told, in seconds. */
const reportSeconds = 86_400;

/** Keeps revisions in Redis, each write one script. */
export function createRedisRevisionStore(redis: Redis | Cluster): RevisionStore {
  return {
    publish: ({ source, ...revision }) =>
      guarded(async () => {
        const { contentHash } = revision;
        const digits = revisionId(0, contentHash).slice(2);
        const keys = [sequenceKey, revisionsKey, sourcesKey, hashesKey, orderKey, stateKey];
        const args = [contentHash, digits, JSON.stringify(revision), JSON.stringify(source), keptRevisions];
        const [id, json] = (await runScript(redis, publishScript, keys, args)) as [string, string];
        return toRevision(id, json);
      }),
    find: (id) =>
      guarded(async () => {
        const json = await redis.hget(revisionsKey, id);
        return json === null ? undefined : toRevision(id, json);
      }),
    source: (id) =>
      guarded(async () => {
        const json = await redis.hget(sourcesKey, id);
        return json === null ? undefined : (JSON.parse(json) as PolicySource);
      }),
    list: (beforeSequence, limit) =>
      guarded(async () => {
        const ids = await redis.zrange(orderKey, `(${beforeSequence}`, "-inf", "BYSCORE", "REV", "LIMIT", 0, limit);
        if (ids.length === 0) return [];
        const found = await redis.hmget(revisionsKey, ...ids);
        return ids.flatMap((id, index) => {
          const json = found[index];
          return json ? [toRevision(id, json)] : [];
        });
      }),
    state: () =>
      guarded(async () => {
        const json = await redis.hget(stateKey, "state");
        return json === null ? initialState : (JSON.parse(json) as PolicyState);
      }),
    change: (next) =>
      guarded(
        async () => (await runScript(redis, changeScript, [stateKey], [next.generation, JSON.stringify(next)])) === 1,
      ),
    saveShadowReport: (comparison, replica, report) =>
      guarded(async () => {
        const key = shadowReportsKey(comparison);
        await redis.multi().hset(key, replica, report).expire(key, reportSeconds).exec();
      }),
    shadowReports: (comparison) =>
      guarded(async () => new Map(Object.entries(await redis.hgetall(shadowReportsKey(comparison))))),
  };
}

function toRevision(id: string, json: string): StoredRevision {
  const rest = JSON.parse(json) as Omit<StoredRevision, "id" | "sequence">;
  return { id, sequence: Number.parseInt(id, 10), ...rest };
}
