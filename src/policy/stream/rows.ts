import { type ItemDecision, Decision as WireDecision } from "../../../gen/gatehouse/policy/v1/decision_pb.ts";
import type { RowItem, RowResult } from "../../../gen/gatehouse/policy/v1/stream_pb.ts";
import { type FieldViolation, invalidArgument, ServiceError } from "../../shared/service-error.ts";
import { type Decision, toEvaluation } from "../cedar/decision.ts";
import { checkEntities, checkUid, fromItemEvaluation, toEntity, toReason, toUid } from "../convert.ts";
import type { ActivePolicies } from "../domain/active-policies.ts";
import { overlay } from "../domain/evaluate.ts";
import { ItemFaults } from "../item-faults.ts";
import { ItemEvaluator, type SampleItem, type StreamContext } from "./item-evaluator.ts";

const maxIdBytes = 64;

/** What a frame of rows is evaluated with. */
export interface RowsContext {
  readonly evaluator: ItemEvaluator;
  /** The stream's context, for items without their own. */
  readonly context: StreamContext;
  /** Items that may be in flight. */
  readonly maxInFlight: number;
  /** When the frame arrived, as `performance.now()`. */
  readonly arrivedMs: number;
  readonly policies: ActivePolicies;
  /** Is told of each decision. */
  decided(decision: Decision): void;
  /** Takes what the shadow or the decision log may want; undefined when there is neither. */
  readonly sample: SampleItem | undefined;
}

/** Answers the items of one frame, in their order; a fault of an item is its own. */
export function answerRows(items: readonly RowItem[], rows: RowsContext): RowResult[] {
  const inFlight = new Set<string>();
  const faults = new ItemFaults();
  return items.map((item, index) => {
    try {
      if (index >= rows.maxInFlight) throw overCredit();
      checkId(item.id, inFlight);
      return rowResult(item.id, { case: "decision", value: answerRow(item, index, rows, faults) });
    } catch (error) {
      return rowResult(item.id, { case: "error", value: faults.status(error) });
    }
  });
}

function checkId(id: string, inFlight: Set<string>): void {
  // UTF-8 takes at most three bytes for each UTF-16 unit, so only long ids need to be measured.
  if (id === "" || (id.length * 3 > maxIdBytes && Buffer.byteLength(id) > maxIdBytes)) {
    throw invalidArgument([{ field: "id", description: `must be 1 to ${maxIdBytes} bytes` }]);
  }
  if (inFlight.has(id)) {
    throw new ServiceError("ALREADY_EXISTS", "An item with this id is in flight.", { reason: "DUPLICATE_ITEM_ID" });
  }
  inFlight.add(id);
}

function answerRow(item: RowItem, index: number, rows: RowsContext, faults: ItemFaults): ItemDecision {
  const { evaluator } = rows;
  const principal = evaluator.known(item.principal);
  const action = evaluator.known(item.action);
  const resource = evaluator.known(item.resource);
  if (principal === undefined || action === undefined || resource === undefined)
    return answerNew(item, index, rows, faults);
  if (item.context !== undefined || item.entities.length > 0 || item.timeoutMs > 0)
    return answerNew(item, index, rows, faults);
  const decision = evaluator.decide(principal, action, resource, rows.context);
  rows.decided(decision);
  rows.sample?.(principal, action, resource, rows.context, decision, item.entities, index);
  return toItemDecision(decision, evaluator, faults);
}

/** Answers an item of which anything has to be checked or found first. */
function answerNew(item: RowItem, index: number, rows: RowsContext, faults: ItemFaults): ItemDecision {
  const violations: FieldViolation[] = [];
  checkUid(item.principal, "principal", violations);
  checkUid(item.action, "action", violations);
  checkUid(item.resource, "resource", violations);
  if (item.entities.length > 0) checkEntities(item.entities, violations);
  if (violations.length > 0) throw invalidArgument(violations);
  if (item.timeoutMs > 0 && performance.now() - rows.arrivedMs > item.timeoutMs) throw late();
  const base = rows.policies.deciding(item.action, rows.evaluator.snapshot);
  const evaluator =
    item.entities.length === 0 && base === rows.evaluator.snapshot
      ? rows.evaluator
      : new ItemEvaluator(overlay(base, item.entities.map(toEntity)));
  const shared = item.context === undefined && evaluator === rows.evaluator;
  const principal = evaluator.resolve(toUid(item.principal), "principal.type");
  const action = evaluator.resolve(toUid(item.action), "action.type");
  const resource = evaluator.resolve(toUid(item.resource), "resource.type");
  const context = shared ? rows.context : evaluator.prepare(item.context ?? rows.context.json);
  const decision = evaluator.decide(principal, action, resource, context);
  rows.decided(decision);
  if (base === rows.evaluator.snapshot)
    rows.sample?.(principal, action, resource, context, decision, item.entities, index);
  return toItemDecision(decision, evaluator, faults);
}

function toItemDecision(decision: Decision, evaluator: ItemEvaluator, faults: ItemFaults): ItemDecision {
  const { allow, determining, errors } = decision;
  if (errors.length > 0 || determining.length > 1) {
    return fromItemEvaluation(toEvaluation(decision, evaluator.snapshot.engine.policySet.policyIds), faults);
  }
  const [policy] = determining;
  return {
    $typeName: "gatehouse.policy.v1.ItemDecision",
    decision: allow ? WireDecision.ALLOW : WireDecision.DENY,
    determiningPolicies: policy === undefined ? [] : evaluator.single(policy),
    errors: [],
    reason: toReason(allow, determining.length, decision.indeterminate),
  };
}

function rowResult(id: string, result: RowResult["result"]): RowResult {
  return { $typeName: "gatehouse.policy.v1.RowResult", id, result };
}

/** RESOURCE_EXHAUSTED of an item beyond those that may be in flight. */
export function overCredit(): ServiceError {
  return new ServiceError("RESOURCE_EXHAUSTED", "More items are in flight than the stream was granted.", {
    reason: "TOO_MANY_IN_FLIGHT",
    retryAfterMs: 1,
  });
}

/** DEADLINE_EXCEEDED of an item whose time was over before it was evaluated. */
export function late(): ServiceError {
  return new ServiceError("DEADLINE_EXCEEDED", "The time of the item was over before it was evaluated.", {
    reason: "DEADLINE_EXCEEDED",
  });
}
