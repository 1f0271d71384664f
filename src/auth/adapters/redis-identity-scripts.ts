import { type RedisScript, script } from "../../shared/store/redis-script.ts";

/** Fields of a user, in the order in which scripts answer them. */
export const userFields = [
  "roles",
  "attributes",
  "passwordHash",
  "disabled",
  "createTime",
  "version",
  "sessionEpoch",
] as const;

const quotedFields = userFields.map((field) => `'${field}'`).join(", ");

/** Answers 'absent' or 'changed' when there is no such user, or not of this version; `expected` may be empty. */
const refusal = `
local function refusal(key, expected)
  local version = redis.call('HGET', key, 'version')
  if not version then return 'absent' end
  if expected ~= '' and expected ~= version then return 'changed' end
end
`;

/** Keys: user. Arguments: pairs of fields and values. Answers whether the user is new. */
export const createScript: RedisScript = script(`
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1
`);

/**
 * Keys: user. Arguments: expected version or empty, whether to end sessions (0 or 1), then pairs of fields and values.
 * Answers the fields, or why nothing was written.
 */
export const updateScript: RedisScript = script(`
${refusal}
local refused = refusal(KEYS[1], ARGV[1])
if refused then return refused end
if #ARGV > 2 then redis.call('HSET', KEYS[1], unpack(ARGV, 3)) end
redis.call('HINCRBY', KEYS[1], 'version', 1)
if ARGV[2] == '1' then redis.call('HSET', KEYS[1], 'sessionEpoch', redis.call('HGET', KEYS[1], 'version')) end
return redis.call('HMGET', KEYS[1], ${quotedFields})
`);

/** Keys: user. Arguments: expected hash, replacement. Answers whether it was replaced. */
export const replaceHashScript: RedisScript = script(`
if redis.call('HGET', KEYS[1], 'passwordHash') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'passwordHash', ARGV[2])
return 1
`);

/**
 * Keys: user, index of the user's API keys. Arguments: expected version or empty, prefix of API keys.
 * Answers why nothing was written, or when the user had been created.
 */
export const deleteScript: RedisScript = script(`
${refusal}
local refused = refusal(KEYS[1], ARGV[1])
if refused then return refused end
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do redis.call('DEL', ARGV[2] .. id) end
local created = redis.call('HGET', KEYS[1], 'createTime')
redis.call('DEL', KEYS[1], KEYS[2])
return created
`);
