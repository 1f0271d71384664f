import { ServiceError } from "../../shared/service-error.ts";
import type { AccessDecider, AccessRequest, Authorization, DecisionCall } from "../domain/authorizer.ts";
import type { Authenticator } from "../domain/credentials/authenticator.ts";
import type { Authentication } from "../domain/credentials/credential.ts";
import type { Json } from "../domain/principal.ts";
import { noMapping } from "../errors.ts";
import { renderContext } from "./context-template.ts";
import { type FoundCredential, findCredential } from "./credential-finder.ts";
import { renderEntity } from "./entity-template.ts";
import { type Mapping, pathVariables, type Rule } from "./mapping.ts";
import type { CheckedRequest } from "./request.ts";
import { RequestValues } from "./request-values.ts";

/** What became of a request. Only `allowed` and `public` let it through. */
export type Verdict =
  | {
      readonly kind: "allowed";
      readonly rule: string;
      readonly authentication: Authentication;
      readonly authorization: Authorization;
      readonly found: FoundCredential;
    }
  /** The mapping says that everybody may. */
  | { readonly kind: "public"; readonly rule: string }
  /** No credential, or one that is not valid. */
  | { readonly kind: "unauthenticated"; readonly rule: string; readonly presented: boolean }
  | { readonly kind: "denied"; readonly rule: string; readonly authorization: Authorization }
  /** No rule covers it, or the one that does needs a value that it has not. */
  | { readonly kind: "unmapped" }
  /** It can be read in more than one way, or in none. */
  | { readonly kind: "malformed" }
  /** It could not be decided. */
  | { readonly kind: "unavailable"; readonly cause: unknown };

export interface CheckerOptions {
  /** The mapping of now; undefined when there is none. */
  readonly mapping: () => Mapping | undefined;
  readonly authenticate: Authenticator;
  readonly decideAccess: AccessDecider;
}

/** Decides about a request. Does not throw: whatever goes wrong is `unavailable`. */
export type Checker = (request: CheckedRequest, call: DecisionCall) => Promise<Verdict>;

export function createChecker({ mapping, authenticate, decideAccess }: CheckerOptions): Checker {
  async function identify(found: FoundCredential, call: DecisionCall): Promise<Authentication | undefined> {
    if (found.kind === "workload") {
      return { principal: { type: "Workload", id: found.id, roles: [], attributes: {} }, amr: [] };
    }
    if (found.kind !== "credential") return undefined;
    try {
      return await authenticate(found.credential, call);
    } catch (error) {
      if (error instanceof ServiceError && isRefusal(error)) return undefined;
      throw error;
    }
  }

  async function check(request: CheckedRequest, call: DecisionCall): Promise<Verdict> {
    const table = mapping();
    if (table === undefined) throw noMapping();
    const mapped = table.map(request);
    if (mapped.kind !== "rule") return mapped;
    const { rule, segments } = mapped;
    if (rule.public) return { kind: "public", rule: rule.name };
    const found = findCredential(request, table.settings.credentials);
    const authentication = await identify(found, call);
    if (authentication === undefined) {
      return { kind: "unauthenticated", rule: rule.name, presented: found.kind !== "none" };
    }
    const values = new RequestValues(request, authentication.principal, pathVariables(rule.path, segments), segments);
    const access = accessOf(rule, values);
    if (access === "missing") return { kind: "unmapped" };
    if (access === "malformed") return { kind: "malformed" };
    const authorization = await decideAccess(authentication, access, call);
    if (!authorization.decision.allowed) return { kind: "denied", rule: rule.name, authorization };
    return { kind: "allowed", rule: rule.name, authentication, authorization, found };
  }

  return async (request, call) => {
    try {
      return await check(request, call);
    } catch (cause) {
      return { kind: "unavailable", cause };
    }
  };
}

/** Whether a credential was refused, as opposed to not looked at. */
function isRefusal({ code, reason }: ServiceError): boolean {
  return code === "UNAUTHENTICATED" || reason === "CREDENTIAL_NOT_SUPPORTED";
}

function accessOf(
  rule: Extract<Rule, { public: false }>,
  values: RequestValues,
): AccessRequest | "missing" | "malformed" {
  const action = renderEntity(rule.action, values.lookup);
  const resource = renderEntity(rule.resource, values.lookup);
  const context: Record<string, Json> = {};
  for (const [name, template] of rule.context) {
    const made = renderContext(template, values.lookup);
    if (made === "malformed") return "malformed";
    if (made !== "missing") context[name] = made.value;
    else if ("required" in template && template.required) return "missing";
  }
  if (values.ambiguous) return "malformed";
  return action === undefined || resource === undefined ? "missing" : { action, resource, context };
}
