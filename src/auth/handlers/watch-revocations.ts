import type { AuthService } from "../../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import type { CallContext, ServerStreamHandler } from "../../shared/rpc/handler.ts";
import { toWatchResponse } from "../convert-revocations.ts";
import type { RevocationFeed } from "../domain/revocation-feed.ts";

/** `AuthService.WatchRevocations`, for whom the guard lets pass. */
export function createWatchRevocationsHandler(
  feed: RevocationFeed,
  guard: (context: CallContext) => Promise<unknown>,
): ServerStreamHandler<typeof AuthService.method.watchRevocations> {
  return async function* ({ after }, context) {
    await guard(context);
    for await (const entry of feed.watch(after, context.signal)) yield toWatchResponse(entry);
  };
}
