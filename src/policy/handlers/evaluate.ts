import type {
  EvaluateRequest,
  EvaluateResponse,
  PolicyService,
} from "../../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import type { CallContext, UnaryHandler } from "../../shared/rpc/handler.ts";
import type { StepUp } from "../cedar/explain.ts";
import { fromEvaluation, fromExplanation, toQuery } from "../convert.ts";
import type { ActivePolicies } from "../domain/active-policies.ts";
import { isAdminAction } from "../domain/admin-policies.ts";
import type { DecisionLog } from "../domain/decision-log.ts";
import type { DecisionObserver } from "../domain/decision-observer.ts";
import { evaluate, explain } from "../domain/evaluate.ts";
import type { Shadow } from "../domain/shadow.ts";
import type { Snapshot } from "../domain/snapshot.ts";

export interface EvaluateDependencies {
  readonly policies: ActivePolicies;
  readonly nextDecisionId: () => string;
  readonly observer: DecisionObserver;
  readonly shadow: Shadow;
  /** Undefined when decisions are not logged. */
  readonly decisionLog: DecisionLog | undefined;
  /** Context attributes that a caller could obtain, tried on a DENY that is explained. */
  readonly stepUps: readonly StepUp[];
}

/** `PolicyService.Evaluate`. Answers synchronously, unless it pins a revision that has to be compiled first. */
export function createEvaluateHandler({
  policies,
  nextDecisionId,
  observer,
  shadow,
  decisionLog,
  stepUps,
}: EvaluateDependencies): UnaryHandler<typeof PolicyService.method.evaluate> {
  function answer(chosen: Snapshot, request: EvaluateRequest, call: CallContext): EvaluateResponse {
    const query = toQuery(request);
    const snapshot = policies.deciding(query.action, chosen);
    const evaluation = evaluate(snapshot, query);
    observer.decided(evaluation.decision === "ALLOW", evaluation.indeterminate, evaluation.errors.length);
    if (snapshot === policies.active && shadow.wants()) shadow.take(query, evaluation);
    const decisionId = nextDecisionId();
    if (decisionLog?.wants(evaluation.decision === "ALLOW") && !isAdminAction(query.action)) {
      const { peerAddress, requestId, traceparent } = call;
      const { revision } = snapshot;
      decisionLog.take({ query, evaluation, revision, decisionId, peerAddress, requestId, traceparent });
    }
    const response = fromEvaluation(evaluation, snapshot.revision, decisionId);
    if (!request.explain) return response;
    const { policyIds } = snapshot.engine.policySet;
    response.diagnostics = fromExplanation(explain(snapshot, query, stepUps), policyIds.length);
    return response;
  }

  return (request, call) => {
    const snapshot = policies.obtain(request.revision);
    return snapshot instanceof Promise
      ? snapshot.then((loaded) => answer(loaded, request, call))
      : answer(snapshot, request, call);
  };
}
