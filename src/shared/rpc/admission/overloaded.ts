import { ServiceError } from "../../service-error.ts";
import type { OverloadLimits } from "./overload-limits.ts";

/** RESOURCE_EXHAUSTED of work that is shed. Callers are told to wait for one to two intervals, so that they do not all return at once. */
export function overloaded({ overloadIntervalMs }: OverloadLimits): ServiceError {
  return new ServiceError("RESOURCE_EXHAUSTED", "The server is overloaded.", {
    reason: "OVERLOADED",
    retryAfterMs: overloadIntervalMs * (1 + Math.random()),
  });
}
