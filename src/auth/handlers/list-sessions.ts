import type { AuthService } from "../../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import type { UnaryHandler } from "../../shared/rpc/handler.ts";
import { callOf, toSession } from "../convert.ts";
import type { Authenticator } from "../domain/credentials/authenticator.ts";
import type { Sessions } from "../domain/sessions.ts";

/** Lists the live sessions of the principal of a bearer token. Only users of this service have sessions. */
export function createListSessionsHandler(
  authenticate: Authenticator,
  sessions: Sessions,
): UnaryHandler<typeof AuthService.method.listSessions> {
  return async ({ bearerToken }, context) => {
    const { principal, session, external } = await authenticate(
      { kind: "bearerToken", token: bearerToken },
      callOf(context),
    );
    if (principal.type !== "User" || external !== undefined) return { sessions: [] };
    const live = await sessions.list(principal.id);
    return {
      sessions: live.map(toSession),
      ...(session === undefined ? {} : { currentSessionId: session.id }),
    };
  };
}
