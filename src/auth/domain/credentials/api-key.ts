import { chain } from "../../../shared/awaitable.ts";
import { notAuthenticated } from "../../errors.ts";
import type { ApiKeys } from "../api-keys.ts";
import { type IdentityStore, principalOf } from "../identities.ts";
import type { Verifier } from "./credential.ts";

export interface ApiKeyVerifierOptions {
  readonly identities: IdentityStore;
  readonly apiKeys: ApiKeys;
}

/**
 * Verifies an API key. It stands for its user, with the roles and attributes of now; one whose user is disabled is refused.
 * It opens no session.
 */
export function createApiKeyVerifier({ identities, apiKeys }: ApiKeyVerifierOptions): Verifier<"apiKey"> {
  return ({ key: text }) =>
    chain(apiKeys.use(text), (key) => {
      if (key === undefined) throw notAuthenticated();
      return chain(identities.findUser(key.user), (user) => {
        if (user === undefined || user.disabled) throw notAuthenticated();
        const { expireTime } = key;
        return {
          principal: principalOf(user),
          amr: [],
          apiKey: key,
          ...(expireTime === undefined ? {} : { expireTime }),
        };
      });
    });
}
