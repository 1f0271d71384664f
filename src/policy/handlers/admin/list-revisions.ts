import type { PolicyAdminService } from "../../../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import type { UnaryHandler } from "../../../shared/rpc/handler.ts";
import { invalidArgument } from "../../../shared/service-error.ts";
import { fromRevision } from "../../convert-admin.ts";
import type { PolicyLifecycle } from "../../domain/policy-lifecycle.ts";

const defaultPageSize = 100;

/** `PolicyAdminService.ListRevisions`. A page token is the sequence number to go on below. */
export function createListRevisionsHandler(
  lifecycle: PolicyLifecycle,
): UnaryHandler<typeof PolicyAdminService.method.listRevisions> {
  return async ({ pageSize, pageToken }) => {
    if (!/^(?:[1-9]\d{0,14})?$/.test(pageToken)) {
      throw invalidArgument([{ field: "page_token", description: "is not one that was answered before" }]);
    }
    const limit = pageSize === 0 ? defaultPageSize : pageSize;
    const before = pageToken === "" ? Number.MAX_SAFE_INTEGER : Number(pageToken);
    const found = await lifecycle.list(before, limit + 1);
    const page = found.slice(0, limit);
    return {
      revisions: page.map((revision) => fromRevision(revision, lifecycle.marks)),
      nextPageToken: found.length > limit ? String(page.at(-1)?.sequence) : "",
    };
  };
}
