import { type RedisScript, script } from "../../shared/store/redis-script.ts";

/** Fields of a session, in the order in which scripts take and answer them. */
export const sessionFields = ["id", "user", "amr", "created", "used", "idle", "expires", "epoch"] as const;

const quotedFields = sessionFields.map((field) => `'${field}'`).join(", ");

/** Ends the session of a token hash and answers its fields. The caller names the prefixes of its keys. */
const endSession = `
local function endSession(prefix, idPrefix, tokenHash)
  local key = prefix .. tokenHash
  local fields = redis.call('HMGET', key, ${quotedFields})
  redis.call('DEL', key)
  if fields[1] then redis.call('DEL', idPrefix .. fields[1]) end
  return fields
end
`;

/**
 * Keys: index of the user, session, session id.
 * Arguments: prefixes of sessions and session ids, token hash, limit, when Redis may drop it at idle and in any case,
 * then the fields.
 *
 * Ends what has expired, then the oldest until there is room, then adds: under any concurrency no more than the limit are left.
 * Answers the ids of those that ended for want of room.
 */
export const addScript: RedisScript = script(`
${endSession}
local index, key, idKey = KEYS[1], KEYS[2], KEYS[3]
local prefix, idPrefix, tokenHash, limit, dropIdle, drop = unpack(ARGV, 1, 6)
local fields = { unpack(ARGV, 7) }
local now = tonumber(fields[4])
for _, other in ipairs(redis.call('ZRANGE', index, 0, -1)) do
  local idle = redis.call('HGET', prefix .. other, 'idle')
  if not idle or tonumber(idle) <= now then
    endSession(prefix, idPrefix, other)
    redis.call('ZREM', index, other)
  end
end
local ended = {}
while redis.call('ZCARD', index) >= tonumber(limit) do
  ended[#ended + 1] = endSession(prefix, idPrefix, redis.call('ZPOPMIN', index)[1])[1] or nil
end
local pairs = {}
for i, name in ipairs({ ${quotedFields} }) do
  pairs[2 * i - 1], pairs[2 * i] = name, fields[i]
end
redis.call('HSET', key, unpack(pairs))
redis.call('PEXPIREAT', key, dropIdle)
redis.call('SET', idKey, tokenHash, 'PXAT', drop)
redis.call('ZADD', index, fields[4], tokenHash)
if redis.call('PTTL', index) < 0 then redis.call('PEXPIREAT', index, drop) else redis.call('PEXPIREAT', index, drop, 'GT') end
return ended
`);

/** Keys: session id. Arguments: prefix of sessions. Answers the token hash and the fields, or nothing. */
export const findByIdScript: RedisScript = script(`
local tokenHash = redis.call('GET', KEYS[1])
if not tokenHash then return false end
return { tokenHash, redis.call('HMGET', ARGV[1] .. tokenHash, ${quotedFields}) }
`);

/** Keys: session. Arguments: time of use, idle expiry, when Redis may drop it. */
export const touchScript: RedisScript = script(`
local used = redis.call('HGET', KEYS[1], 'used')
if used and tonumber(used) < tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'used', ARGV[1], 'idle', ARGV[2])
  redis.call('PEXPIREAT', KEYS[1], ARGV[3])
end
`);

/** Keys: index of the user. Arguments: prefix of sessions. Answers the fields of each, newest first. */
export const listScript: RedisScript = script(`
local sessions = {}
for _, tokenHash in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, -1)) do
  local fields = redis.call('HMGET', ARGV[1] .. tokenHash, ${quotedFields})
  if fields[1] then sessions[#sessions + 1] = fields end
end
return sessions
`);

/** Keys: session id. Arguments: prefixes of sessions, session ids and indexes. Answers the fields, or nothing. */
export const removeScript: RedisScript = script(`
${endSession}
local tokenHash = redis.call('GET', KEYS[1])
if not tokenHash then return false end
local fields = endSession(ARGV[1], ARGV[2], tokenHash)
redis.call('DEL', KEYS[1])
if not fields[1] then return false end
redis.call('ZREM', ARGV[3] .. fields[2], tokenHash)
return fields
`);

/** Keys: index of the user. Arguments: prefixes of sessions and session ids. Answers the fields of each. */
export const removeAllScript: RedisScript = script(`
${endSession}
local sessions = {}
for _, tokenHash in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local fields = endSession(ARGV[1], ARGV[2], tokenHash)
  if fields[1] then sessions[#sessions + 1] = fields end
end
redis.call('DEL', KEYS[1])
return sessions
`);
