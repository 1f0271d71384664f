import type { Cluster, Redis } from "ioredis";
import { guarded } from "../../shared/store/redis-errors.ts";
import { runScript, script } from "../../shared/store/redis-script.ts";
import type { SigningKeyRecord, SigningKeyStore } from "../domain/tokens/signing-keys.ts";
import { signingKeysKey } from "./redis-token-keys.ts";

/** Arguments: expected version, keys. Answers whether it was that version. */
const replaceScript = script(`
local version = redis.call('HGET', KEYS[1], 'version') or '0'
if version ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'version', version + 1, 'keys', ARGV[2])
return 1
`);

/** Keeps signing keys in Redis, all in one hash: they are few and change together. */
export function createRedisSigningKeyStore(redis: Redis | Cluster): SigningKeyStore {
  return {
    async load() {
      return guarded(async () => {
        const [version, keys] = await redis.hmget(signingKeysKey, "version", "keys");
        return { version: Number(version ?? 0), keys: JSON.parse(keys ?? "[]") as SigningKeyRecord[] };
      });
    },
    async replace(version, keys) {
      return guarded(
        async () => (await runScript(redis, replaceScript, [signingKeysKey], [version, JSON.stringify(keys)])) === 1,
      );
    },
  };
}
