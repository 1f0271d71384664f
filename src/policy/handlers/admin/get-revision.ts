import type { PolicyAdminService } from "../../../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import type { UnaryHandler } from "../../../shared/rpc/handler.ts";
import { fromRevision, fromSource } from "../../convert-admin.ts";
import type { PolicyLifecycle } from "../../domain/policy-lifecycle.ts";

/** `PolicyAdminService.GetRevision`. */
export function createGetRevisionHandler(
  lifecycle: PolicyLifecycle,
): UnaryHandler<typeof PolicyAdminService.method.getRevision> {
  return async (request) => {
    const { revision, source } = await lifecycle.read(request.revision);
    return { revision: fromRevision(revision, lifecycle.marks), bundle: fromSource(source) };
  };
}
