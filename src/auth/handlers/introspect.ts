import type { AuthService } from "../../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { chain } from "../../shared/awaitable.ts";
import type { UnaryHandler } from "../../shared/rpc/handler.ts";
import { introspectResponse } from "../convert-tokens.ts";
import type { Introspect } from "../domain/tokens/introspection.ts";

/** Tells whether a token is active and what it says. */
export function createIntrospectHandler(
  introspect: Introspect,
  issuer: string,
): UnaryHandler<typeof AuthService.method.introspect> {
  return ({ token }) => chain(introspect(token), (description) => introspectResponse(description, issuer));
}
