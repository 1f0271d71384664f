import { ServiceError } from "../shared/service-error.ts";

// Every reason that auth-service gives, see docs/errors.md.

/**
 * UNAUTHENTICATED, the same for every cause: whether a user, a password or a session was unknown, wrong, expired or
 * disabled is nobody's business.
 */
export function notAuthenticated(): ServiceError {
  return new ServiceError("UNAUTHENTICATED", "The credential is not valid.", { reason: "CREDENTIAL_NOT_VALID" });
}

/** The password is right, and the user has an authenticator. */
export function secondFactorRequired(): ServiceError {
  return new ServiceError("UNAUTHENTICATED", "A second factor is needed.", {
    reason: "SECOND_FACTOR_REQUIRED",
    metadata: { accepts: "totp_code,backup_code" },
  });
}

/** The password is right. A code that was used before is not valid either. */
export function secondFactorNotValid(): ServiceError {
  return new ServiceError("UNAUTHENTICATED", "The second factor is not valid.", { reason: "SECOND_FACTOR_NOT_VALID" });
}

/** The session is good, but not for this: its sign-in is too long ago. */
export function recentSignInRequired(): ServiceError {
  return new ServiceError("UNAUTHENTICATED", "Sign in again to do this.", { reason: "RECENT_SIGN_IN_REQUIRED" });
}

export function noSecondFactor(): ServiceError {
  return new ServiceError("FAILED_PRECONDITION", "There is no authenticator.", { reason: "NO_SECOND_FACTOR" });
}

/** This server has no verifier for a kind of credential. */
export function credentialNotSupported(kind: string): ServiceError {
  return new ServiceError("UNIMPLEMENTED", "This server does not accept credentials of this kind.", {
    reason: "CREDENTIAL_NOT_SUPPORTED",
    metadata: { kind },
  });
}

export function secondFactorNotSupported(): ServiceError {
  return new ServiceError("UNIMPLEMENTED", "This server has no key to keep second factors with.", {
    reason: "SECOND_FACTOR_NOT_SUPPORTED",
  });
}

export function tokensNotSupported(): ServiceError {
  return new ServiceError("UNIMPLEMENTED", "This server does not issue tokens.", { reason: "TOKENS_NOT_SUPPORTED" });
}

/** A scope is malformed, or not one that the principal may have. */
export function scopeNotAllowed(): ServiceError {
  return new ServiceError("INVALID_ARGUMENT", "scopes: must be among those that the principal may have", {
    reason: "SCOPE_NOT_ALLOWED",
    violations: [{ field: "scopes", description: "must be among those that the principal may have" }],
  });
}

/** Too many passwords wait to be hashed. */
export function signInOverloaded(retryAfterMs: number): ServiceError {
  return new ServiceError("RESOURCE_EXHAUSTED", "Too many sign-ins at once.", {
    reason: "SIGN_IN_OVERLOADED",
    retryAfterMs,
  });
}

/** Too many failures: the same whether or not there is such a user. */
export function signInLocked(retryAfterMs: number): ServiceError {
  return new ServiceError("RESOURCE_EXHAUSTED", "Too many failed attempts.", {
    reason: "TOO_MANY_FAILURES",
    retryAfterMs,
  });
}

export function callerLeft(): ServiceError {
  return new ServiceError("CANCELLED", "The caller has left.", { reason: "CANCELLED" });
}

/** policy-service is not there, or answers what it should not. */
export function policyUnavailable(retryAfterMs: number, cause: unknown): ServiceError {
  return new ServiceError("UNAVAILABLE", "policy-service cannot answer.", {
    reason: policyUnavailableReason,
    retryAfterMs,
    cause,
  });
}

export const policyUnavailableReason = "POLICY_UNAVAILABLE";

/** Check has no mapping to go by. */
export function noMapping(): ServiceError {
  return new ServiceError("FAILED_PRECONDITION", "AUTH_CHECK_MAPPING is not set.", { reason: "NO_MAPPING" });
}

/** A call that needs a credential in its headers has none. */
export function credentialMissing(): ServiceError {
  return new ServiceError("UNAUTHENTICATED", "The call needs an `authorization: Bearer …` header.", {
    reason: "CREDENTIAL_MISSING",
  });
}

/** Policies do not permit a call, or its API key is not good for it. */
export function permissionDenied(): ServiceError {
  return new ServiceError("PERMISSION_DENIED", "The caller may not do this.", { reason: "PERMISSION_DENIED" });
}

export function userNotFound(): ServiceError {
  return new ServiceError("NOT_FOUND", "There is no such user.", { reason: "USER_NOT_FOUND" });
}

export function userExists(): ServiceError {
  return new ServiceError("ALREADY_EXISTS", "The user name is taken.", { reason: "USER_EXISTS" });
}

/** A user has not the version that the caller expects. */
export function userChanged(): ServiceError {
  return new ServiceError("ABORTED", "The user has another version than was expected.", { reason: "USER_CHANGED" });
}

export function apiKeyNotFound(): ServiceError {
  return new ServiceError("NOT_FOUND", "There is no such API key.", { reason: "API_KEY_NOT_FOUND" });
}

export function tooManyApiKeys(): ServiceError {
  return new ServiceError("RESOURCE_EXHAUSTED", "The user has as many API keys as one may have.", {
    reason: "TOO_MANY_API_KEYS",
  });
}

/** Revocations after a position are not kept any more. */
export function revocationsNotKept(): ServiceError {
  return new ServiceError("OUT_OF_RANGE", "Revocations after this position are not kept any more.", {
    reason: "REVOCATIONS_NOT_KEPT",
  });
}

/** The feed of revocations is lost, so that silence on it means nothing. */
export function revocationsUnconfirmed(): ServiceError {
  return new ServiceError("UNAVAILABLE", "Revocations cannot be followed right now.", {
    reason: "REVOCATIONS_UNCONFIRMED",
    retryAfterMs: 1_000,
  });
}

export function tooManyWaiters(): ServiceError {
  return new ServiceError("RESOURCE_EXHAUSTED", "Too many callers wait for a revocation.", {
    reason: "BUS_TOO_MANY_WAITERS",
    retryAfterMs: 1_000,
  });
}

export function tooManyWatchers(): ServiceError {
  return new ServiceError("RESOURCE_EXHAUSTED", "This replica serves as many streams of revocations as it may.", {
    reason: "TOO_MANY_WATCHERS",
    retryAfterMs: 1_000,
  });
}

/** A watcher does not read what it is sent. */
export function watcherTooSlow(): ServiceError {
  return new ServiceError("RESOURCE_EXHAUSTED", "Revocations were not read as fast as they came.", {
    reason: "WATCHER_TOO_SLOW",
  });
}

/** The keys of an issuer cannot be fetched, so that its tokens can neither be accepted nor refused. */
export function issuerUnavailable(retryAfterMs: number): ServiceError {
  return new ServiceError("UNAVAILABLE", "The keys of the token's issuer cannot be fetched.", {
    reason: "ISSUER_UNAVAILABLE",
    retryAfterMs,
  });
}

export function clientNotFound(): ServiceError {
  return new ServiceError("NOT_FOUND", "There is no such client.", { reason: "CLIENT_NOT_FOUND" });
}

export function clientExists(): ServiceError {
  return new ServiceError("ALREADY_EXISTS", "The client's id is taken.", { reason: "CLIENT_EXISTS" });
}

/** A client was changed by somebody else meanwhile. */
export function clientChanged(): ServiceError {
  return new ServiceError("ABORTED", "The client was changed meanwhile.", { reason: "CLIENT_CHANGED" });
}
