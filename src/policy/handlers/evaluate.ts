import type {
  EvaluateRequest,
  EvaluateResponse,
  PolicyService,
} from "../../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import type { UnaryHandler } from "../../shared/rpc/handler.ts";
import type { StepUp } from "../cedar/explain.ts";
import { fromEvaluation, fromExplanation, toQuery } from "../convert.ts";
import type { ActivePolicies } from "../domain/active-policies.ts";
import type { DecisionObserver } from "../domain/decision-observer.ts";
import { evaluate, explain } from "../domain/evaluate.ts";
import type { Shadow } from "../domain/shadow.ts";
import type { Snapshot } from "../domain/snapshot.ts";

export interface EvaluateDependencies {
  readonly policies: ActivePolicies;
  readonly nextDecisionId: () => string;
  readonly observer: DecisionObserver;
  readonly shadow: Shadow;
  /** Context attributes that a caller could obtain, tried on a DENY that is explained. */
  readonly stepUps: readonly StepUp[];
}

/** `PolicyService.Evaluate`. Answers synchronously, unless it pins a revision that has to be compiled first. */
export function createEvaluateHandler({
  policies,
  nextDecisionId,
  observer,
  shadow,
  stepUps,
}: EvaluateDependencies): UnaryHandler<typeof PolicyService.method.evaluate> {
  function answer(chosen: Snapshot, request: EvaluateRequest): EvaluateResponse {
    const query = toQuery(request);
    const snapshot = policies.deciding(query.action, chosen);
    const evaluation = evaluate(snapshot, query);
    observer.decided(evaluation.decision === "ALLOW", evaluation.indeterminate, evaluation.errors.length);
    if (snapshot === policies.active && shadow.wants()) shadow.take(query, evaluation);
    const response = fromEvaluation(evaluation, snapshot.revision, nextDecisionId());
    if (!request.explain) return response;
    const { policyIds } = snapshot.engine.policySet;
    response.diagnostics = fromExplanation(explain(snapshot, query, stepUps), policyIds.length);
    return response;
  }

  return (request) => {
    const snapshot = policies.obtain(request.revision);
    return snapshot instanceof Promise ? snapshot.then((loaded) => answer(loaded, request)) : answer(snapshot, request);
  };
}
