import type { Cluster, Redis } from "ioredis";
import { guarded } from "../../shared/store/redis-errors.ts";
import { runScript, script } from "../../shared/store/redis-script.ts";
import type { RevocationStore } from "../domain/revocations.ts";
import { parseTokenId } from "../domain/tokens/token-id.ts";
import { revokedSubjectKey, revokedTokenKey } from "./redis-token-keys.ts";

/** How long Redis keeps what has expired: its clock and ours may differ, and tokens are accepted a little after their expiry. */
const slackMs = 120_000;

/** Arguments: time, when Redis may drop it. Keeps the later of two times. */
const revokeSubjectScript = script(`
local time = math.max(tonumber(ARGV[1]), tonumber(redis.call('GET', KEYS[1]) or '0'))
redis.call('SET', KEYS[1], string.format('%.0f', time), 'PXAT', ARGV[2])
`);

/** Keeps revocations in Redis, each in a key that expires by itself. */
export function createRedisRevocationStore(redis: Redis | Cluster): RevocationStore {
  return {
    revokeToken: (tokenId, expireTime) =>
      guarded(async () => {
        await redis.set(tokenKey(tokenId), "1", "PXAT", expireTime + slackMs);
      }),
    isTokenRevoked: (tokenId) => guarded(async () => (await redis.exists(tokenKey(tokenId))) === 1),
    revokeSubject: (kind, id, time, expireTime) =>
      guarded(async () => {
        await runScript(redis, revokeSubjectScript, [revokedSubjectKey(kind, id)], [time, expireTime + slackMs]);
      }),
    revokedUpTo: (kind, id) => guarded(async () => Number((await redis.get(revokedSubjectKey(kind, id))) ?? 0)),
  };
}

function tokenKey(tokenId: string): string {
  return revokedTokenKey(parseTokenId(tokenId)?.partition ?? "", tokenId);
}
