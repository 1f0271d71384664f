import type { Cluster, Redis } from "ioredis";
import { guarded } from "../../shared/store/redis-errors.ts";
import { type RedisScript, runScript, script } from "../../shared/store/redis-script.ts";
import type { ApiKey, ApiKeyStore, StoredApiKey } from "../domain/api-keys.ts";
import { partitionOf } from "../domain/session-keys.ts";
import { apiKeyKey, apiKeyKeyPrefix, apiKeysOfUserKey, userKey } from "./redis-keys.ts";

const fields = ["id", "user", "hash", "name", "scopes", "created", "expires", "used"] as const;
const quotedFields = fields.map((field) => `'${field}'`).join(", ");

/** Keys: user, index of the user's keys, key. Arguments: limit, id, time of creation, then pairs of fields and values. */
const addScript = script(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 'absent' end
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[1]) then return 'full' end
redis.call('HSET', KEYS[3], unpack(ARGV, 4))
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2])
return 'added'
`);

/** Keys: key. Arguments: time of use. */
const touchScript = script(`
local used = redis.call('HGET', KEYS[1], 'used')
if used and (used == '' or tonumber(used) < tonumber(ARGV[1])) then redis.call('HSET', KEYS[1], 'used', ARGV[1]) end
`);

/** Keys: index of the user's keys. Arguments: prefix of keys. Answers the fields of each, newest first. */
const listScript = script(`
local keys = {}
for _, id in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, -1)) do
  local fields = redis.call('HMGET', ARGV[1] .. id, ${quotedFields})
  if fields[1] then keys[#keys + 1] = fields end
end
return keys
`);

/** Keys: key. Arguments: prefix of indexes. Answers whether it was there. */
const removeScript = script(`
local user = redis.call('HGET', KEYS[1], 'user')
if not user then return 0 end
redis.call('ZREM', ARGV[1] .. user, redis.call('HGET', KEYS[1], 'id'))
return redis.call('DEL', KEYS[1])
`);

/** Keeps API keys in Redis, in the slots of their users. Removing a user removes them, see redis-identities.ts. */
export function createRedisApiKeyStore(redis: Redis | Cluster): ApiKeyStore {
  const run = (script: RedisScript, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> =>
    guarded(() => runScript(redis, script, keys, args));

  return {
    async add(stored, limit) {
      const { user, id, createTime } = stored.key;
      const partition = partitionOf(user);
      const keys = [userKey(user), apiKeysOfUserKey(partition, user), apiKeyKey(partition, id)];
      return (await run(addScript, keys, [limit, id, createTime, ...toFields(stored)])) as "added" | "absent" | "full";
    },
    async find(partition, id) {
      return guarded(async () => fromFields(await redis.hmget(apiKeyKey(partition, id), ...fields)));
    },
    async touch(partition, id, lastUsedTime) {
      await run(touchScript, [apiKeyKey(partition, id)], [lastUsedTime]);
    },
    async list(user) {
      const partition = partitionOf(user);
      const answers = await run(listScript, [apiKeysOfUserKey(partition, user)], [apiKeyKeyPrefix(partition)]);
      return (answers as (string | null)[][]).map((answer) => fromFields(answer)!.key);
    },
    async remove(partition, id) {
      return (await run(removeScript, [apiKeyKey(partition, id)], [apiKeysOfUserKey(partition, "")])) === 1;
    },
  };
}

/** What is undefined is kept as an empty text. */
function toFields({ key, hash }: StoredApiKey): (string | number)[] {
  const { id, user, displayName, scopes, createTime, expireTime = "", lastUsedTime = "" } = key;
  const values = [id, user, hash, displayName, JSON.stringify(scopes), createTime, expireTime, lastUsedTime];
  return fields.flatMap((field, index) => [field, values[index]!]);
}

function fromFields(answer: readonly (string | null)[]): StoredApiKey | undefined {
  const [id, user, hash, name, scopes, created, expires, used] = answer;
  if (id === null || id === undefined) return undefined;
  const key: ApiKey = {
    id,
    user: user!,
    displayName: name!,
    scopes: JSON.parse(scopes!) as string[],
    createTime: Number(created),
    expireTime: expires ? Number(expires) : undefined,
    lastUsedTime: used ? Number(used) : undefined,
  };
  return { key, hash: hash! };
}
