import type { AuthService } from "../../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import type { UnaryHandler } from "../../shared/rpc/handler.ts";
import { toTokenSet } from "../convert-tokens.ts";
import type { TokenIssuer } from "../domain/tokens/token-issuer.ts";

/** Exchanges a refresh token for new tokens. One that is bound to an OAuth client is taken at the token endpoint only. */
export function createRefreshHandler(issuer: TokenIssuer): UnaryHandler<typeof AuthService.method.refresh> {
  return async ({ refreshToken: token, scopes }) => ({ tokens: toTokenSet(await issuer.refresh({ token, scopes })) });
}
