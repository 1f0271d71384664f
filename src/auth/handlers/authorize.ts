import type { AuthService } from "../../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import type { UnaryHandler } from "../../shared/rpc/handler.ts";
import { accessOf, authorizeResponse, callOf, credentialOf } from "../convert.ts";
import type { Authorizer } from "../domain/authorizer.ts";

/** Verifies a credential and answers whether its principal may perform one action on one resource. */
export function createAuthorizeHandler(authorize: Authorizer): UnaryHandler<typeof AuthService.method.authorize> {
  return async (request, context) =>
    authorizeResponse(await authorize(credentialOf(request), accessOf(request), callOf(context)));
}
