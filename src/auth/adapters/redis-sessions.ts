import type { Cluster, Redis } from "ioredis";
import { guarded } from "../../shared/store/redis-errors.ts";
import { type RedisScript, runScript } from "../../shared/store/redis-script.ts";
import { partitionOf } from "../domain/session-keys.ts";
import type { Session, SessionStore } from "../domain/sessions.ts";
import { sessionIdKey, sessionIdKeyPrefix, sessionKey, sessionKeyPrefix, sessionsOfUserKey } from "./redis-keys.ts";
import {
  addScript,
  findByIdScript,
  listScript,
  removeAllScript,
  removeScript,
  sessionFields,
  touchScript,
} from "./redis-session-scripts.ts";

/** How long Redis keeps what has expired: its clock and ours may differ, and whether a session is alive is ours to say. */
const slackMs = 60_000;

/** Keeps sessions in Redis, each write one script in one slot. */
export function createRedisSessionStore(redis: Redis | Cluster): SessionStore {
  const run = (script: RedisScript, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> =>
    guarded(() => runScript(redis, script, keys, args));

  return {
    async add({ partition, tokenHash }, session, limit) {
      const keys = [
        sessionsOfUserKey(partition, session.user),
        sessionKey(partition, tokenHash),
        sessionIdKey(partition, session.id),
      ];
      const dropTimes = [session.idleExpireTime + slackMs, session.expireTime + slackMs];
      const prefixes = [sessionKeyPrefix(partition), sessionIdKeyPrefix(partition)];
      const args = [...prefixes, tokenHash, limit, ...dropTimes, ...toFields(session)];
      return (await run(addScript, keys, args)) as string[];
    },
    async find({ partition, tokenHash }) {
      return guarded(async () => fromFields(await redis.hmget(sessionKey(partition, tokenHash), ...sessionFields)));
    },
    async findById(partition, id) {
      const answer = await run(findByIdScript, [sessionIdKey(partition, id)], [sessionKeyPrefix(partition)]);
      if (answer === null) return undefined;
      const [tokenHash, fields] = answer as [string, unknown];
      const session = fromFields(fields);
      return session === undefined ? undefined : { key: { partition, tokenHash }, session };
    },
    async touch({ partition, tokenHash }, { lastUsedTime, idleExpireTime }) {
      const args = [lastUsedTime, idleExpireTime, idleExpireTime + slackMs];
      await run(touchScript, [sessionKey(partition, tokenHash)], args);
    },
    async list(user) {
      const partition = partitionOf(user);
      return fromAll(await run(listScript, [sessionsOfUserKey(partition, user)], [sessionKeyPrefix(partition)]));
    },
    async remove(partition, id) {
      const args = [sessionKeyPrefix(partition), sessionIdKeyPrefix(partition), sessionsOfUserKey(partition, "")];
      const fields = await run(removeScript, [sessionIdKey(partition, id)], args);
      return fields === null ? undefined : fromFields(fields);
    },
    async removeAll(user) {
      const partition = partitionOf(user);
      const args = [sessionKeyPrefix(partition), sessionIdKeyPrefix(partition)];
      return fromAll(await run(removeAllScript, [sessionsOfUserKey(partition, user)], args));
    },
  };
}

function toFields(session: Session): (string | number)[] {
  const { id, user, amr, epoch, createTime, lastUsedTime, idleExpireTime, expireTime } = session;
  return [id, user, JSON.stringify(amr), createTime, lastUsedTime, idleExpireTime, expireTime, epoch];
}

function fromAll(sessions: unknown): Session[] {
  return (sessions as unknown[]).map((fields) => fromFields(fields)!);
}

function fromFields(fields: unknown): Session | undefined {
  const [id, user, amr, created, used, idle, expires, epoch] = fields as (string | null)[];
  if (id === null || id === undefined) return undefined;
  return {
    id,
    user: user!,
    amr: JSON.parse(amr!) as string[],
    epoch: Number(epoch),
    createTime: Number(created),
    lastUsedTime: Number(used),
    idleExpireTime: Number(idle),
    expireTime: Number(expires),
  };
}
