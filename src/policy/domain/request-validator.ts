import type { CedarJsonObject, EntityUid } from "../cedar/types.ts";
import { ConformanceError, conformRecord, findUidFault } from "./conformance.ts";
import { type CedarSchema, findAction } from "./schema.ts";

/** A request, as far as a schema speaks of it. */
export type SchemaRequest = {
  readonly principal: EntityUid;
  readonly action: EntityUid;
  readonly resource: EntityUid;
  readonly context: CedarJsonObject;
};

/** Why a schema does not admit a request, or the request's context made explicit. */
export type RequestCheck =
  | { readonly ok: true; readonly context: CedarJsonObject }
  | { readonly ok: false; readonly field: "principal" | "action" | "resource" | "context"; readonly reason: string };

/** Checks requests against a schema; synchronous, and free of allocation where the context is explicit already. */
export type RequestValidator = (request: SchemaRequest) => RequestCheck;

/**
 * Creates a check of requests: the action is declared and applies to the principal's and the resource's types, and the
 * context has the attributes declared for it. Answers the context with implicit references and extension values made
 * explicit, so that it can be evaluated.
 */
export function createRequestValidator(schema: CedarSchema): RequestValidator {
  return ({ principal, action, resource, context }) => {
    const declared = findAction(schema, action);
    if (!declared) return refuse("action", `unknown action ${formatUid(action)}`);
    const principalFault = findUidFault(schema, principal);
    if (principalFault) return refuse("principal", principalFault);
    const resourceFault = findUidFault(schema, resource);
    if (resourceFault) return refuse("resource", resourceFault);
    if (!declared.principals.has(principal.type))
      return refuse("principal", inapplicable(action, "principal", principal));
    if (!declared.resources.has(resource.type)) return refuse("resource", inapplicable(action, "resource", resource));
    try {
      return { ok: true, context: conformRecord(schema, declared.context, context, "context") };
    } catch (error) {
      if (error instanceof ConformanceError) return refuse("context", error.message);
      throw error;
    }
  };
}

function refuse(field: "principal" | "action" | "resource" | "context", reason: string): RequestCheck {
  return { ok: false, field, reason };
}

function inapplicable(action: EntityUid, role: string, uid: EntityUid): string {
  return `${formatUid(action)} does not apply to a ${role} of type ${uid.type}`;
}

function formatUid({ type, id }: EntityUid): string {
  return `${type}::${JSON.stringify(id)}`;
}
