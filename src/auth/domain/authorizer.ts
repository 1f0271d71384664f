import type { Authenticator } from "./credentials/authenticator.ts";
import type { Attempt, Authentication, Credential } from "./credentials/credential.ts";
import type { Attributes, Principal } from "./principal.ts";
import { isInScope } from "./scope.ts";

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
  /** Attributes of the principal, for this request alone; undefined to use what policy-service holds, or none with `parents`. */
  readonly attributes?: Attributes;
}

/** What the decision point is told of the call that it serves. */
export interface DecisionCall extends Attempt {
  /** When the caller stops waiting, in milliseconds since the epoch. */
  readonly deadline?: number;
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

/**
 * Finds the context attributes, each on its own, that would turn a denial into a permission, for example `mfa`. Answers
 * none when it cannot tell: a denial stands without it.
 */
export type StepUpFinder = (request: DecisionRequest, call: DecisionCall) => Promise<readonly string[]>;

export interface AccessDeciderOptions {
  readonly decide: DecisionPoint;
  readonly findStepUps: StepUpFinder;
  /** Whether to send the principal's roles as its parents. They then replace what policy-service holds of it. */
  readonly sendRoles: boolean;
  /** Whether policies see `context.mfa`. Off when the schema of the policies does not know it. */
  readonly contextMfa: boolean;
}

export interface AuthorizerOptions extends AccessDeciderOptions {
  readonly authenticate: Authenticator;
}

export interface Authorization {
  readonly principal: Principal;
  readonly decision: Decision;
  /** Context attributes that would turn the denial into a permission. */
  readonly stepUp: readonly string[];
}

/** Asks whether one who has proved who they are may do something. */
export type AccessDecider = (
  authentication: Authentication,
  access: AccessRequest,
  call: DecisionCall,
) => Promise<Authorization>;

/** What a credential that is not good for an action comes to, without asking for a decision. */
const outOfScope: Decision = { allowed: false, determiningPolicies: [], revision: "", decisionId: "" };

/** Verifies a credential and asks whether its principal may do something. */
export type Authorizer = (credential: Credential, access: AccessRequest, call: DecisionCall) => Promise<Authorization>;

export function createAccessDecider(options: AccessDeciderOptions): AccessDecider {
  const { decide, findStepUps, sendRoles, contextMfa } = options;

  /** What the server knows better than the caller is never taken from the caller. */
  function contextOf(claimed: Attributes, { amr }: Authentication): Attributes {
    const { mfa: _, ...context } = claimed;
    return contextMfa ? { ...context, mfa: amr.includes("mfa") } : context;
  }

  return async (authentication, { action, resource, context }, call) => {
    const { principal, amr, external } = authentication;
    if (!isInScope(authentication, action)) return { principal, decision: outOfScope, stepUp: [] };
    const request: DecisionRequest = {
      principal: { type: principal.type, id: principal.id },
      action,
      resource,
      context: contextOf(context, authentication),
      // Nobody else knows what another issuer says.
      ...(sendRoles || external?.roles !== undefined ? { parents: principal.roles.map(roleEntity) } : {}),
      ...(external?.attributes === undefined ? {} : { attributes: external.attributes }),
    };
    const decision = await decide(request, call);
    // A second factor that policies do not hear of, or that was used already, changes nothing.
    const mayStepUp = !decision.allowed && contextMfa && !amr.includes("mfa");
    return { principal, decision, stepUp: mayStepUp ? await findStepUps(request, call) : [] };
  };
}

function roleEntity(role: string): EntityName {
  return { type: "Role", id: role };
}

export function createAuthorizer({ authenticate, ...options }: AuthorizerOptions): Authorizer {
  const decideAccess = createAccessDecider(options);
  return async (credential, access, call) => decideAccess(await authenticate(credential, call), access, call);
}
