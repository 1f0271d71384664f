import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AuthenticateResponseSchema, AuthService } from "../../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { type Awaitable, chain } from "../../shared/awaitable.ts";
import type { UnaryHandler } from "../../shared/rpc/handler.ts";
import { invalidArgument } from "../../shared/service-error.ts";
import { authenticateResponse, callOf, credentialOf, withSecondFactor } from "../convert.ts";
import { toTokenSet } from "../convert-tokens.ts";
import type { Authenticator } from "../domain/credentials/authenticator.ts";
import type { Authentication } from "../domain/credentials/credential.ts";
import type { TokenIssuer } from "../domain/tokens/token-issuer.ts";
import { tokensNotSupported } from "../errors.ts";

/** Verifies one credential and answers who it belongs to, with tokens where they are asked for and can be had. */
export function createAuthenticateHandler(
  authenticate: Authenticator,
  issuer: TokenIssuer | undefined,
): UnaryHandler<typeof AuthService.method.authenticate> {
  return (request, context) => {
    const credential = withSecondFactor(credentialOf(request), request.secondFactor);
    if (request.issueTokens && issuer === undefined) throw tokensNotSupported();
    const authentication = authenticate(credential, callOf(context));
    if (!request.issueTokens || issuer === undefined) {
      return chain(authentication, (verified) => authenticateResponse(verified));
    }
    return issueTokens(issuer, authentication, request.scopes);
  };
}

async function issueTokens(
  issuer: TokenIssuer,
  authenticating: Awaitable<Authentication>,
  scopes: readonly string[],
): Promise<MessageInitShape<typeof AuthenticateResponseSchema>> {
  const authentication = await authenticating;
  // It would outlive the limits of the key.
  if (authentication.apiKey !== undefined) {
    throw invalidArgument([{ field: "issue_tokens", description: "does not go with an API key" }]);
  }
  // It would live for ever by being exchanged for itself: that is what refresh tokens are for.
  if (authentication.accessToken !== undefined) {
    throw invalidArgument([{ field: "issue_tokens", description: "does not go with an access token: use Refresh" }]);
  }
  return authenticateResponse(authentication, toTokenSet(await issuer.issue(authentication, scopes)));
}
