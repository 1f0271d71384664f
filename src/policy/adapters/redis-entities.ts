import type { Cluster, Redis } from "ioredis";
import { guarded } from "../../shared/store/redis-errors.ts";
import { runScript, script } from "../../shared/store/redis-script.ts";
import type { EntityJson, EntityUid } from "../cedar/types.ts";
import type { EntityRepository, StoredEntities } from "../domain/entity-repository.ts";
import { entitiesKey, entityRevisionKey } from "./redis-keys.ts";

/** Keys: revision, entities. Arguments: expected revision, number of deletes, fields to delete, fields and values to put. */
const changeScript = script(`
if tonumber(redis.call('GET', KEYS[1]) or '0') ~= tonumber(ARGV[1]) then return false end
local deletes = tonumber(ARGV[2])
for at = 3, 2 + deletes do redis.call('HDEL', KEYS[2], ARGV[at]) end
for at = 3 + deletes, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1]) end
return redis.call('INCR', KEYS[1])
`);

/** Keys: revision, entities. Arguments: fields. Answers the revision and the values; all of them when no field is given. */
const readScript = script(`
local values = {}
if #ARGV == 0 then values = redis.call('HVALS', KEYS[2]) end
for _, field in ipairs(ARGV) do
  local value = redis.call('HGET', KEYS[2], field)
  if value then table.insert(values, value) end
end
return { redis.call('GET', KEYS[1]) or '0', values }
`);

const keys = [entityRevisionKey, entitiesKey];
/** Entities read in one step while others wait. */
const pageSize = 1_000;
/** How often the entities are read in steps, in the hope that none is changed meanwhile, before they are read in one. */
const pagedAttempts = 3;

/** Keeps entities in Redis, each write one script. */
export function createRedisEntityRepository(redis: Redis | Cluster): EntityRepository {
  const currentRevision = async (): Promise<number> => Number((await redis.get(entityRevisionKey)) ?? 0);

  async function loadInPages(): Promise<StoredEntities | undefined> {
    const revision = await currentRevision();
    const found = new Map<string, string>();
    let cursor = "0";
    do {
      const [next, pairs] = await redis.hscan(entitiesKey, cursor, "COUNT", pageSize);
      for (let at = 0; at + 1 < pairs.length; at += 2) found.set(pairs[at] as string, pairs[at + 1] as string);
      cursor = next;
    } while (cursor !== "0");
    return (await currentRevision()) === revision ? { revision, entities: parseAll(found.values()) } : undefined;
  }

  async function readAtOnce(fields: readonly string[]): Promise<StoredEntities> {
    const [revision, values] = (await runScript(redis, readScript, keys, fields)) as [string, string[]];
    return { revision: Number(revision), entities: parseAll(values) };
  }

  return {
    revision: () => guarded(currentRevision),
    load: () =>
      guarded(async () => {
        for (let attempt = 0; attempt < pagedAttempts; attempt += 1) {
          const loaded = await loadInPages();
          if (loaded !== undefined) return loaded;
        }
        return await readAtOnce([]);
      }),
    read: (uids) =>
      guarded(async () => {
        if (uids.length === 0) return { revision: await currentRevision(), entities: [] };
        return await readAtOnce(uids.map(fieldOf));
      }),
    change: (expected, { puts, deletes }) =>
      guarded(async () => {
        const values = puts.flatMap((entity) => [fieldOf(entity.uid as EntityUid), JSON.stringify(entity)]);
        const args = [expected, deletes.length, ...deletes.map(fieldOf), ...values];
        return ((await runScript(redis, changeScript, keys, args)) as number | null) ?? undefined;
      }),
  };
}

function parseAll(values: Iterable<string>): EntityJson[] {
  return Array.from(values, (json) => JSON.parse(json) as EntityJson);
}

/** A type has no line break, so the field tells both apart. */
function fieldOf({ type, id }: EntityUid): string {
  return `${type}\n${id}`;
}
