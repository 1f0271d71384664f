import type { JsonObject } from "@bufbuild/protobuf";
import { Decision } from "../../../gen/gatehouse/policy/v1/decision_pb.ts";
import type { PolicyService } from "../../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import type { DecisionClient } from "../../shared/client/decisions/decision.ts";
import type { ServiceClient } from "../../shared/client/service-client.ts";
import { ServiceError, type StatusCode } from "../../shared/service-error.ts";
import type { DecisionPoint, DecisionRequest, StepUpFinder } from "../domain/authorizer.ts";
import { policyUnavailable } from "../errors.ts";

/** What the caller may hear of policy-service's own words. Anything else says that the two services do not fit. */
const passedOn: ReadonlySet<StatusCode> = new Set([
  "INVALID_ARGUMENT",
  "RESOURCE_EXHAUSTED",
  "UNAVAILABLE",
  "DEADLINE_EXCEEDED",
  "CANCELLED",
]);

/**
 * Asks policy-service for decisions. Only DECISION_ALLOW allows: an answer without a decision denies, and a failure is
 * an error.
 */
export function createPolicyDecisions(client: Pick<DecisionClient, "evaluate">, retryAfterMs: number): DecisionPoint {
  return async (request, { deadline, signal, traceparent, requestId }) => {
    const options = { deadline, signal, traceparent, requestId };
    const answer = await client.evaluate(evaluateRequest(request), options).catch((error: unknown) => {
      if (error instanceof ServiceError && passedOn.has(error.code)) throw error;
      throw policyUnavailable(retryAfterMs, error);
    });
    const { determiningPolicies, revision, decisionId } = answer;
    return { allowed: answer.decision === Decision.ALLOW, determiningPolicies, revision, decisionId };
  };
}

/**
 * Asks policy-service to explain a denial. It evaluates the request once more, on the policies of now. Whatever goes wrong
 * is no hint.
 */
export function createPolicyStepUps(client: Pick<ServiceClient<typeof PolicyService>, "evaluate">): StepUpFinder {
  return async (request, { deadline, signal, traceparent, requestId }) => {
    try {
      const { diagnostics } = await client.evaluate(
        { ...evaluateRequest(request), explain: true },
        { deadline, signal, traceparent, requestId },
      );
      return diagnostics?.stepUpHints.map(({ attribute }) => attribute) ?? [];
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      return [];
    }
  };
}

function evaluateRequest(request: DecisionRequest) {
  const { principal, action, resource, context } = request;
  return { principal, action, resource, context: context as JsonObject, ...entitiesOf(request) };
}

function entitiesOf({ principal, parents, attributes }: DecisionRequest) {
  if (parents === undefined && attributes === undefined) return {};
  return { entities: [{ uid: principal, parents: [...(parents ?? [])], attrs: (attributes ?? {}) as JsonObject }] };
}
