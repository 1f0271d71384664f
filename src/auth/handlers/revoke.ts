import { AuthService, type RevokeRequest } from "../../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import type { AdminAudit } from "../../shared/audit/admin-audit.ts";
import type { UnaryHandler } from "../../shared/rpc/handler.ts";
import { invalidArgument } from "../../shared/service-error.ts";
import type { Revocation, Revocations } from "../domain/revocations.ts";
import type { Introspect } from "../domain/tokens/introspection.ts";
import { revocationOf } from "../domain/tokens/token-revocation.ts";
import { foldUserName } from "../domain/user-name.ts";
import type { Guard } from "../guard.ts";

export interface RevokeOptions {
  readonly revocations: Revocations;
  readonly introspect: Introspect;
  readonly guard: Guard;
  readonly audit: AdminAudit;
}

/** Revokes a token for whoever presents it, and anything else for whom the guard lets pass. */
export function createRevokeHandler(options: RevokeOptions): UnaryHandler<typeof AuthService.method.revoke> {
  const { revocations, introspect, guard, audit } = options;
  return async (request, context) => {
    const { target } = request;
    if (target.case === "token") {
      const description = await introspect(target.value);
      if (description === undefined) return {};
      return { position: await revocations.revoke(revocationOf(description)) };
    }
    const revocation = revocationTo(target);
    return await audit(
      { method: AuthService.method.revoke, request, context },
      () => guard(context),
      async () => ({ position: await revocations.revoke(revocation) }),
    );
  };
}

function revocationTo(target: Exclude<RevokeRequest["target"], { case: "token" }>): Revocation {
  switch (target.case) {
    case "sessionId":
      return { kind: "session", sessionId: target.value };
    case "user":
      return { kind: "user", user: foldUserName(target.value) };
    case "client":
      return { kind: "client", client: target.value };
    case undefined:
      throw invalidArgument([{ field: "target", description: "exactly one must be set" }]);
  }
}
