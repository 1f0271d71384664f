import type { PolicyAdminService } from "../../../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import type { UnaryHandler } from "../../../shared/rpc/handler.ts";
import type { CompileSource } from "../../compile-source.ts";
import { PolicySourceError } from "../../control/diagnostics.ts";
import { fromDiagnostic, toSource } from "../../convert-admin.ts";

/** `PolicyAdminService.ValidatePolicies`. */
export function createValidatePoliciesHandler(
  compile: CompileSource,
): UnaryHandler<typeof PolicyAdminService.method.validatePolicies> {
  return async ({ bundle }) => {
    try {
      const { compiled, warnings } = await compile(toSource(bundle));
      return {
        valid: true,
        findings: warnings.map(fromDiagnostic),
        policyCount: compiled.policySet.policyIds.length,
      };
    } catch (error) {
      if (!(error instanceof PolicySourceError)) throw error;
      return { valid: false, findings: error.diagnostics.map(fromDiagnostic) };
    }
  };
}
