import type { Cluster, Redis } from "ioredis";
import { fromRedisError } from "../../shared/store/redis-errors.ts";
import { type RedisScript, runScript, script } from "../../shared/store/redis-script.ts";
import type { IdentityStore, User, UserChanges } from "../domain/identities.ts";
import type { Attributes } from "../domain/principal.ts";
import { userKey } from "./redis-keys.ts";

const userFields = ["roles", "attributes", "passwordHash", "disabled", "createTime"] as const;

/** Arguments: pairs of fields and values. Answers whether the user is new. */
const createScript = script(`
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1
`);

/** Arguments: pairs of fields and values. Answers whether there is such a user. */
const updateScript = script(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if #ARGV > 0 then redis.call('HSET', KEYS[1], unpack(ARGV)) end
return 1
`);

/** Arguments: expected hash, replacement. Answers whether it was replaced. */
const replaceHashScript = script(`
if redis.call('HGET', KEYS[1], 'passwordHash') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'passwordHash', ARGV[2])
return 1
`);

/** Keeps users in Redis, each write one command or script. */
export function createRedisIdentityStore(redis: Redis | Cluster): IdentityStore {
  async function run(script: RedisScript, name: string, args: readonly (string | number)[]): Promise<boolean> {
    try {
      return (await runScript(redis, script, [userKey(name)], args)) === 1;
    } catch (error) {
      throw fromRedisError(error);
    }
  }

  return {
    async findUser(name) {
      try {
        return fromFields(name, await redis.hmget(userKey(name), ...userFields));
      } catch (error) {
        throw fromRedisError(error);
      }
    },
    createUser({ name, createTime, ...rest }) {
      return run(createScript, name, [...toFields(rest), "createTime", createTime]);
    },
    updateUser: (name, changes) => run(updateScript, name, toFields(changes)),
    replacePasswordHash: (name, expected, replacement) => run(replaceHashScript, name, [expected, replacement]),
    async deleteUser(name) {
      try {
        return (await redis.del(userKey(name))) === 1;
      } catch (error) {
        throw fromRedisError(error);
      }
    },
  };
}

/** An absent password hash is kept as an empty one. */
function toFields(changes: UserChanges): string[] {
  const { roles, attributes, passwordHash, disabled } = changes;
  return [
    ...(roles === undefined ? [] : ["roles", JSON.stringify(roles)]),
    ...(attributes === undefined ? [] : ["attributes", JSON.stringify(attributes)]),
    ...("passwordHash" in changes ? ["passwordHash", passwordHash ?? ""] : []),
    ...(disabled === undefined ? [] : ["disabled", String(Number(disabled))]),
  ];
}

function fromFields(name: string, fields: readonly (string | null)[]): User | undefined {
  const [roles, attributes, passwordHash, disabled, createTime] = fields;
  if (roles === null || roles === undefined) return undefined;
  return {
    name,
    roles: JSON.parse(roles) as string[],
    attributes: JSON.parse(attributes!) as Attributes,
    passwordHash: passwordHash || undefined,
    disabled: disabled !== "0",
    createTime: Number(createTime),
  };
}
