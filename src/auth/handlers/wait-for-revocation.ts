import type { AuthService } from "../../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import type { UnaryHandler } from "../../shared/rpc/handler.ts";
import type { RevocationFeed } from "../domain/revocation-feed.ts";

/** The longest that a call waits, also when its caller would wait for longer, in milliseconds. */
const longestWaitMs = 10_000;

/** `AuthService.WaitForRevocation`. */
export function createWaitForRevocationHandler(
  feed: RevocationFeed,
): UnaryHandler<typeof AuthService.method.waitForRevocation> {
  return async ({ position }, { deadline }) => ({
    position: await feed.waitFor(position, Math.min(deadline ?? Number.POSITIVE_INFINITY, Date.now() + longestWaitMs)),
  });
}
