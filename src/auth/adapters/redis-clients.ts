import type { Cluster, Redis } from "ioredis";
import { guarded } from "../../shared/store/redis-errors.ts";
import { type RedisScript, runScript, script } from "../../shared/store/redis-script.ts";
import type { ClientChanges, ClientStore, OAuthClient } from "../domain/clients.ts";
import { clientIndexKey, clientKey, usedAssertionKey } from "./redis-token-keys.ts";
import { assertionHash } from "./used-assertion.ts";

/** How long Redis keeps what has expired: its clock and ours may differ. */
const slackMs = 60_000;

/** Keys: client, index. Arguments: id, then pairs of fields and JSON. Answers whether the client is new. */
const createScript = script(`
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('ZADD', KEYS[2], 0, ARGV[1])
return 1
`);

/** Keys: client. Arguments: pairs of fields and JSON. Answers whether there is such a client. */
const updateScript = script(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if #ARGV > 0 then redis.call('HSET', KEYS[1], unpack(ARGV)) end
return 1
`);

/** Keys: client. Arguments: JSON of the hashes that are expected, and of new ones. Answers whether they were as expected. */
const replaceSecretsScript = script(`
if redis.call('HGET', KEYS[1], 'secretHashes') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'secretHashes', ARGV[2])
return 1
`);

/** Keys: client, index. Arguments: id. Answers whether there was such a client. */
const deleteScript = script(`
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('DEL', KEYS[1])
`);

/** Keys: index. Arguments: prefix of clients, start, limit. Answers the fields of each. */
const listScript = script(`
local clients = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], ARGV[2], '+', 'BYLEX', 'LIMIT', 0, ARGV[3])) do
  clients[#clients + 1] = redis.call('HGETALL', ARGV[1] .. id)
end
return clients
`);

/** Keeps OAuth clients in Redis, each in a hash of JSON values. */
export function createRedisClientStore(redis: Redis | Cluster): ClientStore {
  const run = (script: RedisScript, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> =>
    guarded(() => runScript(redis, script, keys, args));

  return {
    find: (id) =>
      guarded(async () => {
        const fields = await redis.hgetall(clientKey(id));
        return fromFields(fields);
      }),
    create: async (client) =>
      (await run(createScript, [clientKey(client.id), clientIndexKey], [client.id, ...toFields(client)])) === 1,
    update: async (id, changes) => (await run(updateScript, [clientKey(id)], toFields(changes))) === 1,
    replaceSecrets: async (id, before, after) =>
      (await run(replaceSecretsScript, [clientKey(id)], [JSON.stringify(before), JSON.stringify(after)])) === 1,
    delete: async (id) => (await run(deleteScript, [clientKey(id), clientIndexKey], [id])) === 1,
    async list(after, limit) {
      const start = after === "" ? "-" : `(${after}`;
      const clients = (await run(listScript, [clientIndexKey], [clientKey(""), start, limit])) as string[][];
      return clients.map((pairs) => fromFields(Object.fromEntries(pairsOf(pairs)))!);
    },
    useAssertion: (client, assertionId, expireTime) =>
      guarded(async () => {
        const key = usedAssertionKey(assertionHash(client, assertionId));
        return (await redis.set(key, "1", "PXAT", expireTime + slackMs, "NX")) === "OK";
      }),
  };
}

function toFields(client: ClientChanges): string[] {
  return Object.entries(client).flatMap(([field, value]) => [field, JSON.stringify(value)]);
}

function fromFields(fields: Readonly<Record<string, string>>): OAuthClient | undefined {
  const entries = Object.entries(fields);
  if (entries.length === 0) return undefined;
  return Object.fromEntries(entries.map(([field, value]) => [field, JSON.parse(value)])) as unknown as OAuthClient;
}

function* pairsOf(flat: readonly string[]): Generator<[string, string]> {
  for (let index = 0; index + 1 < flat.length; index += 2) yield [flat[index]!, flat[index + 1]!];
}
