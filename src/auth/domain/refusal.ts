import { ServiceError } from "../../shared/service-error.ts";

/**
 * UNAUTHENTICATED, the same for every cause: whether a user, a password or a session was unknown, wrong, expired or
 * disabled is nobody's business.
 */
export function notAuthenticated(): ServiceError {
  return new ServiceError("UNAUTHENTICATED", "The credential is not valid.", { reason: "CREDENTIAL_NOT_VALID" });
}
