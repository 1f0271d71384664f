import type { Cluster, Redis } from "ioredis";
import { guarded } from "../../shared/store/redis-errors.ts";
import { type RedisScript, runScript } from "../../shared/store/redis-script.ts";
import type { IdentityStore, User, UserChanges } from "../domain/identities.ts";
import type { Attributes } from "../domain/principal.ts";
import { partitionOf } from "../domain/session-keys.ts";
import { createScript, deleteScript, replaceHashScript, updateScript, userFields } from "./redis-identity-scripts.ts";
import { apiKeyKeyPrefix, apiKeysOfUserKey, userKey, usersByNameKey } from "./redis-keys.ts";

/**
 * Keeps users in Redis, each write one command or script in the user's slot.
 *
 * The index by name is in a slot of its own, so it cannot be written in the same step. It may list who is not there, never
 * miss who is: a user is added to it first and taken from it last, and an entry names one creation of a user, so that
 * taking it away cannot hide a user who has just been created anew.
 */
export function createRedisIdentityStore(redis: Redis | Cluster): IdentityStore {
  const run = (script: RedisScript, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> =>
    guarded(() => runScript(redis, script, keys, args));

  async function findUser(name: string): Promise<User | undefined> {
    return fromFields(name, await guarded(() => redis.hmget(userKey(name), ...userFields)));
  }

  const entriesFrom = (from: string, count: number): Promise<string[]> =>
    guarded(() => redis.zrange(usersByNameKey, from, "+", "BYLEX", "LIMIT", 0, count));

  async function userOfEntry(entry: string): Promise<User | undefined> {
    const user = await findUser(entry.slice(0, entry.indexOf("\0")));
    return user !== undefined && indexEntry(user.name, user.createTime) === entry ? user : undefined;
  }

  return {
    findUser,
    async listUsers(after, limit) {
      const users: User[] = [];
      // Beyond every entry of the name before, whenever it was created.
      for (let from: string | undefined = `(${after}\u0001`; from !== undefined && users.length < limit; ) {
        const entries: readonly string[] = await entriesFrom(from, limit - users.length);
        const found = await Promise.all(entries.map(userOfEntry));
        users.push(...found.filter((user) => user !== undefined));
        const last: string | undefined = entries.at(-1);
        from = last === undefined ? undefined : `(${last}`;
      }
      return users;
    },
    async createUser({ name, createTime, ...rest }) {
      const key = userKey(name);
      if ((await guarded(() => redis.exists(key))) === 1) return false;
      await guarded(() => redis.zadd(usersByNameKey, 0, indexEntry(name, createTime)));
      const times = ["createTime", createTime, "version", createTime, "sessionEpoch", createTime];
      return (await run(createScript, [key], [...toFields(rest), ...times])) === 1;
    },
    async updateUser(name, changes, { expectedVersion = "", endSessions = false } = {}) {
      const args = [expectedVersion, Number(endSessions), ...toFields(changes)];
      const answer = await run(updateScript, [userKey(name)], args);
      return answer === "absent" || answer === "changed" ? answer : fromFields(name, answer as (string | null)[])!;
    },
    async replacePasswordHash(name, expected, replacement) {
      return (await run(replaceHashScript, [userKey(name)], [expected, replacement])) === 1;
    },
    async deleteUser(name, { expectedVersion = "" } = {}) {
      const partition = partitionOf(name);
      const keys = [userKey(name), apiKeysOfUserKey(partition, name)];
      const answer = await run(deleteScript, keys, [expectedVersion, apiKeyKeyPrefix(partition)]);
      if (answer === "absent" || answer === "changed") return answer;
      await guarded(() => redis.zrem(usersByNameKey, indexEntry(name, Number(answer))));
      return "deleted";
    },
  };
}

/** Sorts by name, as no name has a control character. */
function indexEntry(name: string, createTime: number): string {
  return `${name}\0${createTime}`;
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
  const [roles, attributes, passwordHash, disabled, createTime, version, sessionEpoch] = fields;
  if (roles === null || roles === undefined) return undefined;
  return {
    name,
    roles: JSON.parse(roles) as string[],
    attributes: JSON.parse(attributes!) as Attributes,
    passwordHash: passwordHash || undefined,
    disabled: disabled !== "0",
    createTime: Number(createTime),
    version: Number(version),
    sessionEpoch: Number(sessionEpoch),
  };
}
