import { ServiceError } from "../../shared/service-error.ts";
import { adminActionType } from "./admin-policies.ts";
import { evaluate } from "./evaluate.ts";
import type { Snapshot } from "./snapshot.ts";

/** Somebody who was verified, and their roles. */
export interface AdminPrincipal {
  readonly type: "User" | "Client";
  readonly id: string;
  readonly roles: readonly string[];
  /** RPCs that the credential is limited to, each as `Gatehouse::<RPC>`; empty for all that the principal may call. */
  readonly scopes: readonly string[];
}

/**
 * Verifies an admin credential.
 *
 * @throws ServiceError UNAUTHENTICATED, or UNAVAILABLE when it cannot be told.
 */
export type AdminAuthenticator = (
  credential: string,
  call: { readonly deadline: number | undefined; readonly signal: AbortSignal },
) => Promise<AdminPrincipal>;

/** What the guard must know of a call. */
export interface GuardedCall {
  readonly deadline: number | undefined;
  readonly signal: AbortSignal;
  header(name: string): string | undefined;
}

/**
 * Lets a call of an administrative RPC pass, and answers who makes it.
 *
 * @throws ServiceError UNAUTHENTICATED without a valid credential, PERMISSION_DENIED without the permission, UNAVAILABLE
 *   when it cannot be told.
 */
export type AdminGuard = (call: GuardedCall, rpc: string) => Promise<AdminPrincipal>;

export interface AdminGuardDependencies {
  readonly authenticate: AdminAuthenticator;
  /** The built-in policies, once they are compiled. */
  readonly policies: Promise<Snapshot>;
}

const bearer = /^Bearer +([\x21-\x7e]{1,16384})$/i;

export function createAdminGuard({ authenticate, policies }: AdminGuardDependencies): AdminGuard {
  return async (call, rpc) => {
    const [, credential] = bearer.exec(call.header("authorization") ?? "") ?? [];
    if (credential === undefined) throw unauthenticated();
    const principal = await authenticate(credential, call);
    const uid = { type: `Gatehouse::${principal.type}`, id: principal.id };
    const { decision } = evaluate(await policies, {
      principal: uid,
      action: { type: adminActionType, id: rpc },
      resource: { type: "Gatehouse::Service", id: "policy" },
      context: {},
      entities: [{ uid, attrs: { roles: principal.roles } }],
    });
    const { scopes } = principal;
    const inScope = scopes.length === 0 || scopes.includes(`Gatehouse::${rpc}`);
    if (decision !== "ALLOW" || !inScope) {
      throw new ServiceError("PERMISSION_DENIED", `This needs the permission for ${rpc}.`, {
        reason: "ADMIN_PERMISSION_MISSING",
      });
    }
    return principal;
  };
}

/** UNAUTHENTICATED of a call without a valid admin credential. */
export function unauthenticated(): ServiceError {
  return new ServiceError("UNAUTHENTICATED", "This needs an admin credential: `authorization: Bearer …`.", {
    reason: "ADMIN_CREDENTIAL_MISSING",
  });
}
