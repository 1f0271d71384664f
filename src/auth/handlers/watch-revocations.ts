import type { AuthService } from "../../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import type { CallContext, ServerStreamHandler } from "../../shared/rpc/handler.ts";
import { toWatchResponse } from "../convert-revocations.ts";
import type { RevocationFeed } from "../domain/revocation-feed.ts";

/** How long a caller is let pass without being asked for again, in milliseconds. */
const trustMs = 10_000;

/** `AuthService.WatchRevocations`, for whom the guard lets pass: at first, and whenever there is something to tell. */
export function createWatchRevocationsHandler(
  feed: RevocationFeed,
  guard: (context: CallContext) => Promise<unknown>,
): ServerStreamHandler<typeof AuthService.method.watchRevocations> {
  return async function* ({ after }, context) {
    await guard(context);
    let trustedAt = performance.now();
    for await (const entry of feed.watch(after, context.signal)) {
      if (performance.now() - trustedAt > trustMs) {
        await guard(context);
        trustedAt = performance.now();
      }
      yield toWatchResponse(entry);
    }
  };
}
