import { ReplyError } from "ioredis";
import { ServiceError } from "../service-error.ts";

/** Replies that tell of the state of the servers, not of the command. */
const stateOfServer =
  /^(LOADING|READONLY|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|MOVED|ASK|NOREPLICAS|BUSY|OOM|MISCONF|NOAUTH|WRONGPASS|NOPERM)\b/;

/**
 * Makes UNAVAILABLE of any failure to reach or use Redis, and a plain error (INTERNAL to the caller) of a faulty command.
 *
 * Neither carries the command: ioredis hangs it on its errors with its arguments, which may be secrets.
 */
function fromRedisError(error: unknown): Error {
  const cause = withoutCommand(error);
  if (error instanceof (ReplyError as ErrorConstructor) && !stateOfServer.test(cause.message)) return cause;
  return new ServiceError("UNAVAILABLE", "The store cannot be reached.", {
    reason: "STORE_UNAVAILABLE",
    retryAfterMs: 1_000,
    cause,
  });
}

/** Runs work on Redis. Rejects with what {@link fromRedisError} makes of its failure. */
export async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fromRedisError(error);
  }
}

/** A copy of an error of ioredis that is fit for a log. */
export function withoutCommand(error: unknown): Error {
  const copy = new Error(error instanceof Error ? error.message : "unknown failure");
  copy.name = "RedisError";
  return copy;
}
