import { setImmediate as nextTurn } from "node:timers/promises";
import type {
  BatchItem,
  BatchResult,
  EvaluateBatchRequest,
  EvaluateBatchResponse,
  PolicyService,
} from "../../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import type { CallContext, UnaryHandler } from "../../shared/rpc/handler.ts";
import { type FieldViolation, invalidArgument, ServiceError } from "../../shared/service-error.ts";
import { checkUid, fromItemEvaluation, toContext, toEntity, toUid } from "../convert.ts";
import type { ActivePolicies } from "../domain/active-policies.ts";
import { isAdminAction } from "../domain/admin-policies.ts";
import type { DecisionLog } from "../domain/decision-log.ts";
import type { DecisionObserver } from "../domain/decision-observer.ts";
import { evaluate, overlay } from "../domain/evaluate.ts";
import type { Shadow } from "../domain/shadow.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import { ItemFaults } from "../item-faults.ts";

export interface EvaluateBatchDependencies {
  readonly policies: ActivePolicies;
  readonly nextDecisionId: () => string;
  readonly observer: DecisionObserver;
  readonly shadow: Shadow;
  /** Undefined when decisions are not logged. */
  readonly decisionLog: DecisionLog | undefined;
}

/** What the items of a batch have in common. */
interface Batch {
  readonly snapshot: Snapshot;
  readonly request: EvaluateBatchRequest;
  readonly call: CallContext;
  readonly batchId: string;
  readonly faults: ItemFaults;
}

/** How many items are evaluated in one turn of the event loop, so that a large batch does not hold up other calls. */
const itemsPerTurn = 500;

/** `PolicyService.EvaluateBatch`. All items see one snapshot; the fault of one is its own. */
export function createEvaluateBatchHandler({
  policies,
  nextDecisionId,
  observer,
  shadow,
  decisionLog,
}: EvaluateBatchDependencies): UnaryHandler<typeof PolicyService.method.evaluateBatch> {
  function answer(batch: Batch, item: BatchItem, index: number): BatchResult {
    const { snapshot, request, call, faults } = batch;
    try {
      const query = toItemQuery(request, item);
      const evaluation = evaluate(policies.deciding(query.action, snapshot), query);
      observer.decided(evaluation.decision === "ALLOW", evaluation.indeterminate, evaluation.errors.length);
      if (request.revision === "" && !isAdminAction(query.action) && shadow.wants()) {
        shadow.take({ ...query, entities: request.entities.map(toEntity) }, evaluation);
      }
      if (decisionLog?.wants(evaluation.decision === "ALLOW") && !isAdminAction(query.action)) {
        const { peerAddress, requestId, traceparent } = call;
        const { revision } = snapshot;
        const decisionId = `${batch.batchId}.${index}`;
        const asked = { ...query, entities: request.entities.map(toEntity) };
        decisionLog.take({ query: asked, evaluation, revision, decisionId, peerAddress, requestId, traceparent });
      }
      return result({ case: "decision", value: fromItemEvaluation(evaluation, faults) });
    } catch (error) {
      return result({ case: "error", value: faults.status(error) });
    }
  }

  async function answerAll(batch: Batch): Promise<BatchResult[]> {
    const results: BatchResult[] = [];
    const { request, call } = batch;
    for (const [index, item] of request.items.entries()) {
      if (results.length > 0 && results.length % itemsPerTurn === 0) {
        await nextTurn();
        if (call.signal.aborted) throw abandoned();
      }
      results.push(answer(batch, item, index));
    }
    return results;
  }

  return async (request, call): Promise<EvaluateBatchResponse> => {
    const active = await policies.obtain(request.revision);
    const snapshot = request.entities.length === 0 ? active : overlay(active, request.entities.map(toEntity));
    const batchId = nextDecisionId();
    return {
      $typeName: "gatehouse.policy.v1.EvaluateBatchResponse",
      results: await answerAll({ snapshot, request, call, batchId, faults: new ItemFaults() }),
      revision: active.revision,
      batchId,
    };
  };
}

function toItemQuery(request: EvaluateBatchRequest, item: BatchItem) {
  const violations: FieldViolation[] = [];
  const principal = item.principal ?? request.principal;
  checkUid(principal, "principal", violations);
  checkUid(item.action, "action", violations);
  checkUid(item.resource, "resource", violations);
  if (violations.length > 0) throw invalidArgument(violations);
  return {
    principal: toUid(principal),
    action: toUid(item.action),
    resource: toUid(item.resource),
    context: toContext(item.context ?? request.context),
  };
}

function result(value: BatchResult["result"]): BatchResult {
  return { $typeName: "gatehouse.policy.v1.BatchResult", result: value };
}

function abandoned(): ServiceError {
  return new ServiceError("CANCELLED", "The caller is gone or no longer waits.", { reason: "CANCELLED" });
}
