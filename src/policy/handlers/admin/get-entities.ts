import type { PolicyAdminService } from "../../../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import type { UnaryHandler } from "../../../shared/rpc/handler.ts";
import { fromEntity, toPageToken, toPlainUid, uidFromPageToken } from "../../convert-admin.ts";
import type { ResidentEntities } from "../../domain/resident-entities.ts";

const defaultPageSize = 1_000;

/** `PolicyAdminService.GetEntities`. A page token names the entity to go on after. */
export function createGetEntitiesHandler(
  entities: ResidentEntities,
): UnaryHandler<typeof PolicyAdminService.method.getEntities> {
  return ({ uids, pageSize, pageToken }) => {
    const page =
      uids.length > 0
        ? entities.read(uids.map(toPlainUid))
        : entities.list(uidFromPageToken(pageToken), pageSize === 0 ? defaultPageSize : pageSize);
    return {
      entities: page.entities.map(fromEntity),
      entityRevision: BigInt(page.revision),
      nextPageToken: page.next === undefined ? "" : toPageToken(page.next),
    };
  };
}
