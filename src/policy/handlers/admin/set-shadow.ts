import type { PolicyAdminService } from "../../../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import type { UnaryHandler } from "../../../shared/rpc/handler.ts";
import type { PolicyLifecycle } from "../../domain/policy-lifecycle.ts";

/** `PolicyAdminService.SetShadow`. */
export function createSetShadowHandler(
  lifecycle: PolicyLifecycle,
): UnaryHandler<typeof PolicyAdminService.method.setShadow> {
  return async ({ revision, sampleRate }) => {
    await lifecycle.setShadow(revision, sampleRate === 0 ? 1 : sampleRate);
    return { revision };
  };
}
