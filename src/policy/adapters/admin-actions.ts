import type { DescService } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { AuthService } from "../../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { IdentityService } from "../../../gen/gatehouse/auth/v1/identity_service_pb.ts";
import { PolicyAdminService } from "../../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import type { AdminAction } from "../domain/admin-policies.ts";

/** Services of which some or all RPCs are administrative. */
const services: readonly DescService[] = [PolicyAdminService, IdentityService, AuthService];

/** The RPCs of both services, as their contracts declare them: those without side effects, and streams, only read. */
export const adminActions: readonly AdminAction[] = services.flatMap(({ methods }) =>
  methods.map(({ name, idempotency, methodKind }) => ({
    name,
    reads: idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS || methodKind === "server_streaming",
  })),
);
