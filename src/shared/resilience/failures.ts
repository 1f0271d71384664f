import { ServiceError } from "../service-error.ts";

/** Reason of an error whose sender gave none: the transport's own errors, and those of a foreign server. */
export const UNSPECIFIED_REASON = "UNSPECIFIED";

/** Reason of work that is refused as there is too much of it. */
export const OVERLOADED_REASON = "OVERLOADED";

/** Tells whether a target refused a call only because it has too much to do. */
export function isOverload(error: ServiceError): boolean {
  return error.code === "RESOURCE_EXHAUSTED" && error.reason === OVERLOADED_REASON;
}

/**
 * Tells whether an error speaks of the target's health rather than of the request.
 *
 * UNAVAILABLE and DEADLINE_EXCEEDED do. INTERNAL and UNKNOWN do when they come from the transport, that is without a
 * reason; with one, a working server refused this request alone.
 */
export function isInfrastructureFailure(error: unknown): boolean {
  if (!(error instanceof ServiceError)) return false;
  switch (error.code) {
    case "UNAVAILABLE":
    case "DEADLINE_EXCEEDED":
      return true;
    case "INTERNAL":
    case "UNKNOWN":
      return error.reason === UNSPECIFIED_REASON;
    default:
      return false;
  }
}

/** A failure that says nothing about the target: the caller left, or was in too great a hurry. */
export class InconclusiveError extends Error {
  override readonly name = "InconclusiveError";
  override readonly cause: ServiceError;

  constructor(cause: ServiceError) {
    super(cause.message);
    this.cause = cause;
  }
}

/** CANCELLED, for a caller that left. */
export function cancelled(): ServiceError {
  return new ServiceError("CANCELLED", "The call was cancelled.", { reason: "CANCELLED" });
}
