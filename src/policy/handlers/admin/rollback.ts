import type { PolicyAdminService } from "../../../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import type { UnaryHandler } from "../../../shared/rpc/handler.ts";
import type { PolicyLifecycle } from "../../domain/policy-lifecycle.ts";

/** `PolicyAdminService.Rollback`. */
export function createRollbackHandler(
  lifecycle: PolicyLifecycle,
): UnaryHandler<typeof PolicyAdminService.method.rollback> {
  return ({ expectedActive }) => lifecycle.rollback(expectedActive);
}
