import type { PolicyAdminService } from "../../../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import type { UnaryHandler } from "../../../shared/rpc/handler.ts";
import { toPlainUid } from "../../convert-admin.ts";
import type { ResidentEntities } from "../../domain/resident-entities.ts";

/** `PolicyAdminService.DeleteEntities`. */
export function createDeleteEntitiesHandler(
  entities: ResidentEntities,
): UnaryHandler<typeof PolicyAdminService.method.deleteEntities> {
  return async ({ uids }) => {
    const revision = await entities.change({ puts: [], deletes: uids.map(toPlainUid) });
    return { entityRevision: BigInt(revision) };
  };
}
