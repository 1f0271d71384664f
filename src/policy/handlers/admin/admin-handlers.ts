import { PolicyAdminService } from "../../../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import type { AdminAudit } from "../../../shared/audit/admin-audit.ts";
import type { Handlers } from "../../../shared/rpc/handler.ts";
import type { CompileSource } from "../../compile-source.ts";
import type { ActivePolicies } from "../../domain/active-policies.ts";
import type { AdminGuard } from "../../domain/admin-guard.ts";
import type { PolicyLifecycle } from "../../domain/policy-lifecycle.ts";
import type { ResidentEntities } from "../../domain/resident-entities.ts";
import { createActivateRevisionHandler } from "./activate-revision.ts";
import { createDeleteEntitiesHandler } from "./delete-entities.ts";
import { createGetEntitiesHandler } from "./get-entities.ts";
import { createGetRevisionHandler } from "./get-revision.ts";
import { createGetShadowReportHandler } from "./get-shadow-report.ts";
import { createGuarded } from "./guarded.ts";
import { createListRevisionsHandler } from "./list-revisions.ts";
import { createPublishPoliciesHandler } from "./publish-policies.ts";
import { createPutEntitiesHandler } from "./put-entities.ts";
import { createRollbackHandler } from "./rollback.ts";
import { createSetShadowHandler } from "./set-shadow.ts";
import { createValidatePoliciesHandler } from "./validate-policies.ts";
import { createWatchRevisionsHandler } from "./watch-revisions.ts";

export interface AdminHandlersDependencies {
  readonly guard: AdminGuard;
  readonly audit: AdminAudit;
  readonly compile: CompileSource;
  readonly lifecycle: PolicyLifecycle;
  readonly policies: ActivePolicies;
  readonly entities: ResidentEntities;
}

/** All RPCs of PolicyAdminService, each behind the guard. */
export function createAdminHandlers({
  guard,
  audit,
  compile,
  lifecycle,
  policies,
  entities,
}: AdminHandlersDependencies): Required<Handlers<typeof PolicyAdminService>> {
  const { unary, stream } = createGuarded(guard, audit);
  const { method } = PolicyAdminService;
  return {
    validatePolicies: unary(method.validatePolicies, createValidatePoliciesHandler(compile)),
    publishPolicies: unary(method.publishPolicies, createPublishPoliciesHandler(lifecycle)),
    activateRevision: unary(method.activateRevision, createActivateRevisionHandler(lifecycle)),
    rollback: unary(method.rollback, createRollbackHandler(lifecycle)),
    setShadow: unary(method.setShadow, createSetShadowHandler(lifecycle)),
    getShadowReport: unary(method.getShadowReport, createGetShadowReportHandler(lifecycle)),
    getRevision: unary(method.getRevision, createGetRevisionHandler(lifecycle)),
    listRevisions: unary(method.listRevisions, createListRevisionsHandler(lifecycle)),
    watchRevisions: stream(method.watchRevisions, createWatchRevisionsHandler({ lifecycle, policies, entities })),
    putEntities: unary(method.putEntities, createPutEntitiesHandler(entities)),
    deleteEntities: unary(method.deleteEntities, createDeleteEntitiesHandler(entities)),
    getEntities: unary(method.getEntities, createGetEntitiesHandler(entities)),
  };
}
