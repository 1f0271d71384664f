import type { PolicyAdminService } from "../../../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import type { UnaryHandler } from "../../../shared/rpc/handler.ts";
import { fromShadowReport } from "../../convert-admin.ts";
import type { PolicyLifecycle } from "../../domain/policy-lifecycle.ts";

/** `PolicyAdminService.GetShadowReport`. */
export function createGetShadowReportHandler(
  lifecycle: PolicyLifecycle,
): UnaryHandler<typeof PolicyAdminService.method.getShadowReport> {
  return async () => {
    const { comparison, report } = await lifecycle.shadowReport();
    return fromShadowReport(comparison, report);
  };
}
