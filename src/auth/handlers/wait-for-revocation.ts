import type { AuthService } from "../../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import type { UnaryHandler } from "../../shared/rpc/handler.ts";
import type { RevocationFeed } from "../domain/revocation-feed.ts";

/** How long to wait for a caller that names no deadline, in milliseconds. */
const defaultWaitMs = 10_000;

/** `AuthService.WaitForRevocation`. */
export function createWaitForRevocationHandler(
  feed: RevocationFeed,
): UnaryHandler<typeof AuthService.method.waitForRevocation> {
  return async ({ position }, { deadline }) => ({
    position: await feed.waitFor(position, deadline ?? Date.now() + defaultWaitMs),
  });
}
