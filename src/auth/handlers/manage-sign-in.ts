import type { IdentityService } from "../../../gen/gatehouse/auth/v1/identity_service_pb.ts";
import type { Lockout } from "../domain/lockout.ts";
import type { Users } from "../domain/users.ts";
import type { GuardedHandlers } from "../guard.ts";

/** The methods of IdentityService that help a user who cannot sign in any more. */
export function createSignInHandlers(users: Users, lockout: Lockout): GuardedHandlers<typeof IdentityService> {
  return {
    async removeSecondFactors({ name }) {
      await users.removeSecondFactors(name);
      return {};
    },
    async unlockUser({ name }) {
      const user = await users.get(name);
      await lockout.forgive(user.name);
      return {};
    },
  };
}
