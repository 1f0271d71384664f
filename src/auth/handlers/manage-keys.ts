import type { IdentityService } from "../../../gen/gatehouse/auth/v1/identity_service_pb.ts";
import { toSigningKey } from "../convert-clients.ts";
import type { KeyRing } from "../domain/tokens/key-ring.ts";
import { tokensNotSupported } from "../errors.ts";
import type { GuardedHandlers } from "../guard.ts";

/** The methods of IdentityService about the keys that tokens are signed with. */
export function createKeyHandlers(keys: KeyRing | undefined): GuardedHandlers<typeof IdentityService> {
  function ring(): KeyRing {
    if (keys === undefined) throw tokensNotSupported();
    return keys;
  }

  return {
    rotateKeys: async ({ immediately, dropOthers }) => ({
      // Without a word of it, dropping others is at once.
      keyId: await ring().rotate({ dropOthers, immediately: immediately || dropOthers }),
    }),
    listKeys: async () => ({ keys: (await ring().list()).map(toSigningKey) }),
  };
}
