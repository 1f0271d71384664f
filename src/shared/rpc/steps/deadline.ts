import { ServiceError } from "../../service-error.ts";

/** Error of a call whose deadline has passed. */
export function deadlineExceeded(): ServiceError {
  return new ServiceError("DEADLINE_EXCEEDED", "The deadline has passed.", { reason: "DEADLINE_EXCEEDED" });
}

/**
 * The deadline a call is held to: a unary call gets at most `maxUnaryMs` from now; a stream what its caller said.
 *
 * @param asked The caller's deadline in milliseconds since the epoch, if it gave one.
 */
export function effectiveDeadline(
  asked: number | undefined,
  now: number,
  maxUnaryMs: number | undefined,
): number | undefined {
  if (maxUnaryMs === undefined) return asked;
  const latest = now + maxUnaryMs;
  return asked === undefined || asked > latest ? latest : asked;
}
