import type { AuthService } from "../../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { chain } from "../../shared/awaitable.ts";
import type { UnaryHandler } from "../../shared/rpc/handler.ts";
import { authenticateResponse, callOf, credentialOf, withSecondFactor } from "../convert.ts";
import type { Authenticator } from "../domain/credentials/authenticator.ts";
import { tokensNotSupported } from "../errors.ts";

/** Verifies one credential and answers who it belongs to. */
export function createAuthenticateHandler(
  authenticate: Authenticator,
): UnaryHandler<typeof AuthService.method.authenticate> {
  return (request, context) => {
    const credential = withSecondFactor(credentialOf(request), request.secondFactor);
    if (request.issueTokens) throw tokensNotSupported();
    return chain(authenticate(credential, callOf(context)), authenticateResponse);
  };
}
