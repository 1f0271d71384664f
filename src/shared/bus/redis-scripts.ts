import { type RedisScript, script } from "../store/redis-script.ts";

const timeMs = `
local function now()
  local time = redis.call('TIME')
  return string.format('%d%03d', time[1], math.floor(time[2] / 1000))
end
`;

/** Fields of an entry: `m` the message, `p` the position before it, `g` the group it is for if not for all. */
const appendEntry = `
local function append(key, body, group)
  local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  local previous = last and last[1] or '0-0'
  if group then return redis.call('XADD', key, '*', 'm', body, 'p', previous, 'g', group) end
  return redis.call('XADD', key, '*', 'm', body, 'p', previous)
end
`;

/**
 * Keys: stream. Arguments: message, length to keep, length to refuse at.
 *
 * Trims in whole nodes, as MAXLEN ~ does, but nothing that a group has yet to acknowledge.
 */
export const appendScript: RedisScript = script(`
${appendEntry}
local function parts(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end
local function before(a, b)
  local ams, aseq = parts(a)
  local bms, bseq = parts(b)
  return ams < bms or (ams == bms and aseq < bseq)
end
local function trim(key, keep, length)
  local floor
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local info = {}
    for i = 1, #group, 2 do info[group[i]] = group[i + 1] end
    local needed = info['last-delivered-id']
    if info['pending'] > 0 then needed = redis.call('XPENDING', key, info['name'])[2] end
    if not floor or before(needed, floor) then floor = needed end
  end
  if floor then
    redis.call('XTRIM', key, 'MINID', '~', floor, 'LIMIT', length - keep)
  else
    redis.call('XTRIM', key, 'MAXLEN', '~', keep)
  end
end
local key, keep, refuse = KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local length = redis.call('XLEN', key)
if length >= keep + 100 then
  trim(key, keep, length)
  if redis.call('XLEN', key) >= refuse then return redis.error_reply('BUSFULL The topic is full.') end
end
return append(key, ARGV[1])
`);

/**
 * Keys: stream, dead letters. Arguments: group, consumer, idle milliseconds, limit.
 *
 * Answers entries with their delivery counts. What somebody has deleted from the stream while it was pending is put among the
 * dead letters, without its message.
 */
export const claimScript: RedisScript = script(`
${timeMs}
local key, dead, group, consumer, limit = KEYS[1], KEYS[2], ARGV[1], ARGV[2], tonumber(ARGV[4])
local claimed, cursor, rounds = {}, '0-0', 0
repeat
  local reply = redis.call('XAUTOCLAIM', key, group, consumer, ARGV[3], cursor, 'COUNT', limit - #claimed)
  cursor = reply[1]
  rounds = rounds + 1
  for _, entry in ipairs(reply[2]) do
    local pending = redis.call('XPENDING', key, group, entry[1], entry[1], 1)
    table.insert(claimed, { entry[1], entry[2], pending[1][4] })
  end
  for _, id in ipairs(reply[3]) do
    redis.call('XADD', dead, '*', 'm', '', 'g', group, 'o', id, 'n', 0, 't', now(),
      'e', 'The message was deleted from the stream before it was acknowledged.')
  end
until cursor == '0-0' or #claimed >= limit or rounds >= 64
return claimed
`);

/** Keys: stream. Arguments: group, consumer, idle milliseconds, positions. */
export const touchScript: RedisScript = script(`
local key, group, consumer = KEYS[1], ARGV[1], ARGV[2]
for i = 4, #ARGV do
  if #redis.call('XPENDING', key, group, ARGV[i], ARGV[i], 1, consumer) > 0 then
    redis.call('XCLAIM', key, group, consumer, 0, ARGV[i], 'IDLE', ARGV[3], 'JUSTID')
  end
end
return 0
`);

/** Keys: stream, dead letters. Arguments: group, position, message, error, deliveries, how many dead letters to keep. */
export const buryScript: RedisScript = script(`
${timeMs}
if redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[6]) then return redis.error_reply('BUSDEADFULL There are too many dead letters.') end
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('XADD', KEYS[2], '*', 'm', ARGV[3], 'g', ARGV[1], 'o', ARGV[2], 'n', ARGV[5], 'e', ARGV[4],
  't', now())
return 1
`);

/** Keys: stream, dead letters. Arguments: identifier of the dead letter. Answers the new position, or nil. */
export const replayScript: RedisScript = script(`
${appendEntry}
local entry = redis.call('XRANGE', KEYS[2], ARGV[1], ARGV[1])[1]
if not entry then return false end
local fields = {}
for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
if fields['m'] == '' then return false end
local position = append(KEYS[1], fields['m'], fields['g'])
redis.call('XDEL', KEYS[2], ARGV[1])
return position
`);

/** Keys: stream, dead letters. Answers length, last position, groups (name, lag or -1, pending), number of dead letters. */
export const statusScript: RedisScript = script(`
local key, groups = KEYS[1], {}
if redis.call('EXISTS', key) == 1 then
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local info = {}
    for i = 1, #group, 2 do info[group[i]] = group[i + 1] end
    table.insert(groups, { info['name'], info['lag'] or -1, info['pending'] })
  end
end
local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
return { redis.call('XLEN', key), last and last[1] or '0-0', groups, redis.call('XLEN', KEYS[2]) }
`);
