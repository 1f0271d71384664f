import type { Cluster, Redis } from "ioredis";
import { guarded } from "../../shared/store/redis-errors.ts";
import { type RedisScript, runScript, script } from "../../shared/store/redis-script.ts";
import type { SecondFactorStore } from "../domain/second-factors.ts";
import { backupCodesKey, secondFactorsKey } from "./redis-keys.ts";

// Keys of every script: the user's second factors, the user's backup codes.

/** Answers pending secret and its expiry, secret and its creation, and the number of codes. */
const findScript = script(`
local fields = redis.call('HMGET', KEYS[1], 'pending', 'pendingExpires', 'secret', 'created')
fields[5] = redis.call('SCARD', KEYS[2])
return fields
`);

/** Arguments: sealed secret, expiry. */
const beginScript = script(`
redis.call('HSET', KEYS[1], 'pending', ARGV[1], 'pendingExpires', ARGV[2])
`);

/** Arguments: sealed secret, step, time, hashes of codes. Answers whether it was confirmed. */
const confirmScript = script(`
if redis.call('HGET', KEYS[1], 'pending') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'secret', ARGV[1], 'step', ARGV[2], 'created', ARGV[3])
redis.call('HDEL', KEYS[1], 'pending', 'pendingExpires')
redis.call('DEL', KEYS[2])
redis.call('SADD', KEYS[2], unpack(ARGV, 4))
return 1
`);

/** Arguments: sealed secret, step. Answers whether the step was later than the last. */
const useStepScript = script(`
local held = redis.call('HMGET', KEYS[1], 'secret', 'step')
if held[1] ~= ARGV[1] or tonumber(held[2]) >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'step', ARGV[2])
return 1
`);

/** Arguments: hash of the code. Answers whether it was there. */
const useCodeScript = script(`
return redis.call('SREM', KEYS[2], ARGV[1])
`);

/** Arguments: hashes of codes. Answers whether they were replaced. */
const replaceCodesScript = script(`
if redis.call('HEXISTS', KEYS[1], 'secret') == 0 then return 0 end
redis.call('DEL', KEYS[2])
redis.call('SADD', KEYS[2], unpack(ARGV))
return 1
`);

const removeScript = script(`
local enrolled = redis.call('HEXISTS', KEYS[1], 'secret')
redis.call('DEL', KEYS[1], KEYS[2])
return enrolled
`);

/** Keeps second factors in Redis, each step one script in one slot. */
export function createRedisSecondFactorStore(redis: Redis | Cluster): SecondFactorStore {
  const run = (step: RedisScript, user: string, args: readonly (string | number)[]): Promise<unknown> =>
    guarded(() => runScript(redis, step, [secondFactorsKey(user), backupCodesKey(user)], args));
  const succeeds = async (step: RedisScript, user: string, args: readonly (string | number)[]): Promise<boolean> =>
    (await run(step, user, args)) === 1;

  return {
    async find(user) {
      const fields = (await run(findScript, user, [])) as [string?, string?, string?, string?, number?];
      const [pending, pendingExpires, secret, created, codes] = fields;
      return {
        totp: secret ? { sealedSecret: secret, createTime: Number(created) } : undefined,
        pending: pending ? { sealedSecret: pending, expireTime: Number(pendingExpires) } : undefined,
        backupCodesLeft: codes ?? 0,
      };
    },
    async begin(user, sealedSecret, expireTime) {
      await run(beginScript, user, [sealedSecret, expireTime]);
    },
    confirm: (user, sealedSecret, step, backupCodeHashes, now) =>
      succeeds(confirmScript, user, [sealedSecret, step, now, ...backupCodeHashes]),
    useStep: (user, sealedSecret, step) => succeeds(useStepScript, user, [sealedSecret, step]),
    useBackupCode: (user, codeHash) => succeeds(useCodeScript, user, [codeHash]),
    replaceBackupCodes: (user, codeHashes) => succeeds(replaceCodesScript, user, codeHashes),
    remove: (user) => succeeds(removeScript, user, []),
  };
}
