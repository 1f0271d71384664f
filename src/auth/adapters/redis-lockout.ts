import type { Cluster, Redis } from "ioredis";
import { guarded } from "../../shared/store/redis-errors.ts";
import { type RedisScript, runScript, script } from "../../shared/store/redis-script.ts";
import {
  type CounterState,
  type FailureCounter,
  knownNetworkMs,
  type LockoutStore,
  maxKnownNetworks,
  mostFailures,
} from "../domain/lockout.ts";
import { failureCounterKey, knownNetworksKey } from "./redis-keys.ts";

/** How much longer than needed Redis keeps a counter: its clock and ours may run differently. */
const slackMs = 60_000;

/**
 * Keys: known networks of the subject, its shared counter, its counter of the network.
 * Arguments, the first three of all scripts: network or nothing, time, time since when networks are known.
 *
 * Finds the counter that counts for an attempt. When it is blocked, the script ends with what it answers.
 */
const findCounter = `
local network, now = ARGV[1], tonumber(ARGV[2])
local counter, known = KEYS[2], 0
local used = network ~= '' and redis.call('ZSCORE', KEYS[1], network)
if used and tonumber(used) > tonumber(ARGV[3]) then counter, known = KEYS[3], 1 end
local held = redis.call('HMGET', counter, 'count', 'last', 'blocked')
local count, last, blocked = tonumber(held[1] or 0), tonumber(held[2] or 0), tonumber(held[3] or 0)
if blocked > now then return { blocked, known, 0 } end
`;

const readScript = script(`
${findCounter}
return { 0, known, 0 }
`);

/** More arguments: failures, first and longest delay of the rule, failures that bring the longest, slack. As nextFailures. */
const failScript = script(`
${findCounter}
local failures, first, longest, most, slack = unpack(ARGV, 4, 8)
local quiet = now - math.max(last, blocked)
local forgiven = math.min(count, math.max(0, math.floor(quiet / longest)))
count = math.min(count - forgiven + 1, tonumber(most))
local delay = 0
if count >= tonumber(failures) then delay = math.min(tonumber(longest), first * 2 ^ (count - failures)) end
local delayed = delay > 0 and now + delay or 0
redis.call('HSET', counter, 'count', count, 'last', ARGV[2], 'blocked', string.format('%.0f', delayed))
redis.call('PEXPIRE', counter, string.format('%.0f', delay + count * longest + slack))
return { 0, known, delayed }
`);

/** More arguments: how many networks are known at most, and for how long. */
const succeedScript = script(`
${findCounter}
redis.call('DEL', counter)
if network == '' then return { 0, known, 0 } end
redis.call('ZADD', KEYS[1], now, network)
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return { 0, 1, 0 }
`);

/** Keys: known networks of the subject, its shared counter. Arguments: what the keys of its other counters begin with. */
const forgetScript = script(`
redis.call('DEL', KEYS[2])
for _, network in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  redis.call('DEL', ARGV[1] .. network)
end
`);

/** Keeps counters of failures in Redis, each step one script in one slot. */
export function createRedisLockoutStore(redis: Redis | Cluster): LockoutStore {
  async function run(
    step: RedisScript,
    { kind, subject, network = "" }: FailureCounter,
    now: number,
    args: readonly number[],
  ): Promise<CounterState> {
    const keys = [
      knownNetworksKey(subject),
      failureCounterKey(kind, subject),
      failureCounterKey(kind, subject, network),
    ];
    return guarded(async () => {
      const answer = await runScript(redis, step, keys, [network, now, now - knownNetworkMs, ...args]);
      const [blockedUntil, known, delayedUntil] = answer as [number, number, number];
      return { blockedUntil, known: known === 1, delayedUntil };
    });
  }

  return {
    read: (counter, now) => run(readScript, counter, now, []),
    fail(counter, rule, now) {
      const { failures, firstDelayMs, maxDelayMs } = rule;
      return run(failScript, counter, now, [failures, firstDelayMs, maxDelayMs, mostFailures(rule), slackMs]);
    },
    succeed: (counter, now) => run(succeedScript, counter, now, [maxKnownNetworks, knownNetworkMs]),
    forget: (kind, subject) =>
      guarded(async () => {
        const counter = failureCounterKey(kind, subject);
        await runScript(
          redis,
          forgetScript,
          [knownNetworksKey(subject), counter],
          [failureCounterKey(kind, subject, "")],
        );
      }),
  };
}
