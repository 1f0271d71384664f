import type { PolicyAdminService } from "../../../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import type { UnaryHandler } from "../../../shared/rpc/handler.ts";
import { fromDiagnostic, fromRevision, refusingFindings, toSource } from "../../convert-admin.ts";
import type { PolicyLifecycle } from "../../domain/policy-lifecycle.ts";

/** `PolicyAdminService.PublishPolicies`. */
export function createPublishPoliciesHandler(
  lifecycle: PolicyLifecycle,
): UnaryHandler<typeof PolicyAdminService.method.publishPolicies> {
  return async ({ bundle, comment, activate }) => {
    const source = toSource(bundle);
    if (activate) lifecycle.refuseInDirectoryMode();
    const { revision, warnings } = await refusingFindings(() => lifecycle.publish(source, comment));
    if (activate) await lifecycle.activate(revision.id);
    return { revision: fromRevision(revision, lifecycle.marks), findings: warnings.map(fromDiagnostic) };
  };
}
