import { createHash, timingSafeEqual } from "node:crypto";
import type { AuthService } from "../../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { looksLikeApiKey } from "../../shared/api-key-form.ts";
import type { ServiceClient } from "../../shared/client/service-client.ts";
import { ServiceError } from "../../shared/service-error.ts";
import { type AdminAuthenticator, type AdminPrincipal, unauthenticated } from "../domain/admin-guard.ts";

/** Accepts one key, which the configuration holds. */
export function createKeyAuthenticator(key: string): AdminAuthenticator {
  const digest = sha256(key);
  return async (credential) => {
    if (!timingSafeEqual(sha256(credential), digest)) throw unauthenticated();
    return { type: "Client", id: "admin-key", roles: ["gatehouse-admin"], scopes: [] };
  };
}

/** Asks auth-service whose credential it is: an API key, or the token of a session. */
export function createRemoteAuthenticator(
  client: Pick<ServiceClient<typeof AuthService>, "authenticate">,
): AdminAuthenticator {
  return async (credential, { deadline, signal }) => {
    const { principal, apiKeyScopes } = await client
      .authenticate(
        {
          credential: looksLikeApiKey(credential)
            ? { case: "apiKey", value: credential }
            : { case: "bearerToken", value: credential },
        },
        { deadline, signal },
      )
      .catch((error: unknown) => {
        if (error instanceof ServiceError && error.code === "UNAUTHENTICATED") throw unauthenticated();
        throw new ServiceError("UNAVAILABLE", "auth-service cannot tell whose credential it is.", {
          reason: "AUTH_UNAVAILABLE",
          retryAfterMs: 1_000,
          cause: error,
        });
      });
    if (principal === undefined || !isAdminType(principal.type) || principal.id === "") throw unauthenticated();
    return { type: principal.type, id: principal.id, roles: principal.roles, scopes: apiKeyScopes };
  };
}

/** Tries one after the other; the first that knows the credential answers. */
export function firstOf(authenticators: readonly AdminAuthenticator[]): AdminAuthenticator {
  return async (credential, call) => {
    for (const authenticate of authenticators) {
      try {
        return await authenticate(credential, call);
      } catch (error) {
        if (!(error instanceof ServiceError) || error.code !== "UNAUTHENTICATED") throw error;
      }
    }
    throw unauthenticated();
  };
}

function isAdminType(type: string): type is AdminPrincipal["type"] {
  return type === "User" || type === "Client";
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
