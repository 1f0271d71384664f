import type { PolicyService } from "../../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import type { UnaryHandler } from "../../shared/rpc/handler.ts";
import type { StepUp } from "../cedar/explain.ts";
import { fromEvaluation, fromExplanation, toQuery } from "../convert.ts";
import type { ActivePolicies } from "../domain/active-policies.ts";
import type { DecisionObserver } from "../domain/decision-observer.ts";
import { evaluate, explain } from "../domain/evaluate.ts";

export interface EvaluateDependencies {
  readonly policies: ActivePolicies;
  readonly nextDecisionId: () => string;
  readonly observer: DecisionObserver;
  /** Context attributes that a caller could obtain, tried on a DENY that is explained. */
  readonly stepUps: readonly StepUp[];
}

/** `PolicyService.Evaluate`. Answers synchronously: nothing in it waits. */
export function createEvaluateHandler({
  policies,
  nextDecisionId,
  observer,
  stepUps,
}: EvaluateDependencies): UnaryHandler<typeof PolicyService.method.evaluate> {
  return (request) => {
    const query = toQuery(request);
    const snapshot = policies.require(request.revision);
    const evaluation = evaluate(snapshot, query);
    observer.decided(snapshot, query, evaluation);
    const answer = fromEvaluation(evaluation, snapshot.revision, nextDecisionId());
    if (!request.explain) return answer;
    const diagnostics = fromExplanation(explain(snapshot, query, stepUps), snapshot.engine.policySet.policyIds.length);
    answer.diagnostics = diagnostics;
    return answer;
  };
}
