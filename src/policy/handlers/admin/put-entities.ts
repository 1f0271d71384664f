import type { PolicyAdminService } from "../../../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import type { UnaryHandler } from "../../../shared/rpc/handler.ts";
import { toResidentEntity } from "../../convert-admin.ts";
import type { ResidentEntities } from "../../domain/resident-entities.ts";

/** `PolicyAdminService.PutEntities`. */
export function createPutEntitiesHandler(
  entities: ResidentEntities,
): UnaryHandler<typeof PolicyAdminService.method.putEntities> {
  return async (request) => {
    const revision = await entities.change({ puts: request.entities.map(toResidentEntity), deletes: [] });
    return { entityRevision: BigInt(revision) };
  };
}
