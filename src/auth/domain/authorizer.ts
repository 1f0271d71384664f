import { ServiceError } from "../../shared/service-error.ts";
import type { Authenticator } from "./credentials/authenticator.ts";
import type { Attempt, Authentication, Credential } from "./credentials/credential.ts";
import type { Attributes, Principal } from "./principal.ts";

/** The name of a Cedar entity. */
export interface EntityName {
  readonly type: string;
  readonly id: string;
}

/** An action on a resource, and the facts it is judged by. */
export interface AccessRequest {
  readonly action: EntityName;
  readonly resource: EntityName;
  readonly context: Attributes;
}

export interface DecisionRequest extends AccessRequest {
  readonly principal: EntityName;
  /** Direct parents of the principal, for this request alone; undefined to use what policy-service holds. */
  readonly parents?: readonly EntityName[];
}

/** What the decision point is told of the call that it serves. */
export interface DecisionCall extends Attempt {
  /** When the caller stops waiting, in milliseconds since the epoch. */
  readonly deadline?: number;
  readonly traceparent?: string;
  readonly requestId?: string;
}

export interface Decision {
  /** Whether the action is permitted. Nothing else permits. */
  readonly allowed: boolean;
  readonly determiningPolicies: readonly string[];
  readonly revision: string;
  readonly decisionId: string;
}

/**
 * Asks for a decision.
 *
 * @throws ServiceError UNAVAILABLE with a retry delay when there is none to be had; INVALID_ARGUMENT and
 *   RESOURCE_EXHAUSTED as the decision point says.
 */
export type DecisionPoint = (request: DecisionRequest, call: DecisionCall) => Promise<Decision>;

/** Asks which attributes of the context, when true, would turn a denial into a permission. Throws as a DecisionPoint does. */
export type StepUpFinder = (request: DecisionRequest, call: DecisionCall) => Promise<readonly string[]>;

export interface AuthorizerOptions {
  readonly authenticate: Authenticator;
  readonly decide: DecisionPoint;
  readonly findStepUps: StepUpFinder;
  /** Whether to send the principal's roles as its parents. They then replace what policy-service holds of it. */
  readonly sendRoles: boolean;
  /** Whether policies see `context.mfa`. Off when the schema of the policies does not know it. */
  readonly contextMfa: boolean;
}

export interface Authorization {
  readonly principal: Principal;
  readonly decision: Decision;
  /** Attributes of the context that would turn the denial into a permission, for example `mfa`. */
  readonly stepUp: readonly string[];
}

/** Verifies a credential and asks whether its principal may do something. */
export type Authorizer = (credential: Credential, access: AccessRequest, call: DecisionCall) => Promise<Authorization>;

export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  const { authenticate, decide, findStepUps, sendRoles, contextMfa } = options;

  /** What the server knows better than the caller is never taken from the caller. */
  function contextOf(claimed: Attributes, { amr }: Authentication): Attributes {
    const { mfa: _, ...context } = claimed;
    return contextMfa ? { ...context, mfa: amr.includes("mfa") } : context;
  }

  /** A denial stands without its hint. */
  async function stepUpOf(request: DecisionRequest, call: DecisionCall): Promise<readonly string[]> {
    try {
      return await findStepUps(request, call);
    } catch (error) {
      if (error instanceof ServiceError) return [];
      throw error;
    }
  }

  return async (credential, { action, resource, context }, call) => {
    const authentication = await authenticate(credential, call);
    const { principal } = authentication;
    const request: DecisionRequest = {
      principal: { type: principal.type, id: principal.id },
      action,
      resource,
      context: contextOf(context, authentication),
      ...(sendRoles ? { parents: principal.roles.map((role) => ({ type: "Role", id: role })) } : {}),
    };
    const decision = await decide(request, call);
    const canStepUp = !decision.allowed && request.context.mfa === false;
    return { principal, decision, stepUp: canStepUp ? await stepUpOf(request, call) : [] };
  };
}
