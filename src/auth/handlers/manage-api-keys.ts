import type { IdentityService } from "../../../gen/gatehouse/auth/v1/identity_service_pb.ts";
import { newApiKeyOf, toApiKey } from "../convert-identity.ts";
import type { ApiKeys } from "../domain/api-keys.ts";
import type { Clock } from "../domain/clock.ts";
import type { Revocations } from "../domain/revocations.ts";
import type { Users } from "../domain/users.ts";
import { apiKeyNotFound, tooManyApiKeys, userNotFound } from "../errors.ts";
import type { GuardedHandlers } from "../guard.ts";

export interface ApiKeyHandlersOptions {
  readonly apiKeys: ApiKeys;
  readonly users: Users;
  readonly revocations: Revocations;
  readonly clock: Clock;
}

/** The methods of IdentityService about API keys. */
export function createApiKeyHandlers(options: ApiKeyHandlersOptions): GuardedHandlers<typeof IdentityService> {
  const { apiKeys, users, revocations, clock } = options;
  return {
    async createApiKey(request) {
      const { name } = await users.get(request.user);
      const made = await apiKeys.make(newApiKeyOf(request, name, clock()));
      if (made === "absent") throw userNotFound();
      if (made === "full") throw tooManyApiKeys();
      return { apiKey: toApiKey(made.key), key: made.text };
    },
    async listApiKeys({ user }) {
      const { name } = await users.get(user);
      return { apiKeys: (await apiKeys.list(name)).map(toApiKey) };
    },
    async revokeApiKey({ id }) {
      const found = await apiKeys.revoke(id);
      // Also of a key that is gone: the call before may have come only half way.
      await revocations.revoke({ kind: "apiKey", keyId: id });
      if (!found) throw apiKeyNotFound();
      return {};
    },
  };
}
