import { Decision as WireDecision } from "../../../gen/gatehouse/policy/v1/decision_pb.ts";
import type { Entity, EntityUid } from "../../../gen/gatehouse/policy/v1/entity_pb.ts";
import type {
  ColumnFault,
  ColumnFrame,
  ColumnPolicyErrors,
  ColumnResults,
} from "../../../gen/gatehouse/policy/v1/stream_pb.ts";
import { type FieldViolation, invalidArgument, ServiceError } from "../../shared/service-error.ts";
import { type Decision, toEvaluation } from "../cedar/decision.ts";
import { checkUid, toContext, toUid } from "../convert.ts";
import { isAdminAction } from "../domain/admin-policies.ts";
import { ItemFaults } from "../item-faults.ts";
import type { ItemEvaluator, SampleItem, StreamContext, StreamEntity } from "./item-evaluator.ts";
import type { PolicyLists } from "./policy-lists.ts";
import { late, overCredit } from "./rows.ts";

/** Most uids that a stream's table holds (stream.proto). */
const maxUids = 65_536;
const noEntities: readonly Entity[] = [];
/** Items between two looks at the clock. */
const clockStride = 256;

/** The uids of a stream, by index, each resolved or with the fault that it gives to every item that uses it. */
export class UidTable {
  #uids: EntityUid[] = [];
  #entries: (StreamEntity | ServiceError)[] = [];

  /** @throws ServiceError RESOURCE_EXHAUSTED, which ends the stream, when the table is full. */
  append(uids: readonly EntityUid[], reset: boolean, evaluator: ItemEvaluator): void {
    if (reset) {
      this.#uids = [];
      this.#entries = [];
    }
    if (this.#uids.length + uids.length > maxUids) {
      throw new ServiceError("RESOURCE_EXHAUSTED", `The table of uids holds at most ${maxUids}; reset it.`, {
        reason: "UID_TABLE_FULL",
      });
    }
    for (const uid of uids) {
      this.#uids.push(uid);
      this.#entries.push(resolve(uid, evaluator));
    }
  }

  /** Resolves all of it anew, for another snapshot. */
  resolveAgain(evaluator: ItemEvaluator): void {
    this.#entries = this.#uids.map((uid) => resolve(uid, evaluator));
  }

  /** @throws ServiceError INVALID_ARGUMENT when there is no such uid or it is malformed. */
  at(index: number, column: string): StreamEntity {
    const entry = this.#entries[index];
    if (entry === undefined) throw invalidArgument([{ field: column, description: `${index} is not in the table` }]);
    if (entry instanceof ServiceError) throw entry;
    return entry;
  }
}

function resolve(uid: EntityUid, evaluator: ItemEvaluator): StreamEntity | ServiceError {
  try {
    const violations: FieldViolation[] = [];
    checkUid(uid, "uids", violations);
    if (isAdminAction(uid)) violations.push({ field: "uids.type", description: "administrative actions go by rows" });
    if (violations.length > 0) return invalidArgument(violations);
    return evaluator.resolve(toUid(uid), "uids.type");
  } catch (error) {
    if (error instanceof ServiceError) return error;
    throw error;
  }
}

/** What a frame of columns is evaluated with. */
export interface ColumnsContext {
  readonly evaluator: ItemEvaluator;
  readonly table: UidTable;
  readonly lists: PolicyLists;
  /** The stream's context. */
  readonly context: StreamContext;
  readonly maxInFlight: number;
  /** When the frame arrived, as `performance.now()`. */
  readonly arrivedMs: number;
  decided(decision: Decision): void;
  /** Takes what the shadow or the decision log may want; undefined when there is neither. */
  readonly sample: SampleItem | undefined;
  nextBatchId(): string;
}

/** Number of items of a frame: its longest column. */
export function columnItemCount({ principals, actions, resources }: ColumnFrame): number {
  return Math.max(principals.length, actions.length, resources.length);
}

/** Answers one frame; a fault of an item is its own. */
export function answerColumns(frame: ColumnFrame, columns: ColumnsContext): ColumnResults {
  const { principals, actions, resources, contextIndexes } = frame;
  const { evaluator, table, lists, context, maxInFlight, arrivedMs } = columns;
  const { policyIds } = evaluator.snapshot.engine.policySet;
  const count = columnItemCount(frame);
  const contexts = frame.contexts.map((json) => prepare(json, evaluator));
  const decisions: WireDecision[] = new Array(count);
  const policyLists: number[] = new Array(count);
  const faults: ColumnFault[] = [];
  const itemFaults = new ItemFaults();
  const failed: ColumnPolicyErrors[] = [];
  const indeterminate: number[] = [];
  let expired = false;

  for (let index = 0; index < count; index += 1) {
    if (frame.timeoutMs > 0 && index % clockStride === 0) expired = performance.now() - arrivedMs > frame.timeoutMs;
    try {
      if (index >= maxInFlight) throw overCredit();
      if (expired) throw late();
      const principal = table.at(element(principals, index, "principals"), "principals");
      const action = table.at(element(actions, index, "actions"), "actions");
      const resource = table.at(element(resources, index, "resources"), "resources");
      const own = contextIndexes.length === 0 ? context : contextAt(contextIndexes, index, contexts, context);
      const decision = evaluator.decide(principal, action, resource, own);
      columns.decided(decision);
      columns.sample?.(principal, action, resource, own, decision, noEntities, index);
      decisions[index] = decision.allow ? WireDecision.ALLOW : WireDecision.DENY;
      policyLists[index] = lists.indexOf(decision.determining);
      if (decision.indeterminate) indeterminate.push(index);
      if (decision.errors.length > 0) {
        const errors = itemFaults.policyErrors(toEvaluation(decision, policyIds).errors);
        failed.push({ $typeName: "gatehouse.policy.v1.ColumnPolicyErrors", index, errors });
      }
    } catch (error) {
      decisions[index] = WireDecision.UNSPECIFIED;
      policyLists[index] = 0;
      faults.push({ $typeName: "gatehouse.policy.v1.ColumnFault", index, error: itemFaults.status(error) });
    }
  }
  const { added, reset } = lists.takeNews();
  return {
    $typeName: "gatehouse.policy.v1.ColumnResults",
    frameId: frame.frameId,
    decisions,
    policyLists,
    newPolicyLists: added,
    resetPolicyLists: reset,
    faults,
    policyErrors: failed,
    indeterminate,
    batchId: columns.nextBatchId(),
  };
}

/** The element of a column for one item: a column of one element stands for all. */
function element(column: readonly number[], index: number, field: string): number {
  const value = column.length === 1 ? column[0] : column[index];
  if (value === undefined) throw invalidArgument([{ field, description: "is shorter than the frame" }]);
  return value;
}

function contextAt(
  indexes: readonly number[],
  index: number,
  contexts: readonly (StreamContext | ServiceError)[],
  shared: StreamContext,
): StreamContext {
  const at = element(indexes, index, "context_indexes");
  if (at === 0) return shared;
  const context = contexts[at - 1];
  if (context instanceof ServiceError) throw context;
  if (context === undefined) throw invalidArgument([{ field: "context_indexes", description: `${at} is no context` }]);
  return context;
}

function prepare(json: Parameters<typeof toContext>[0], evaluator: ItemEvaluator): StreamContext | ServiceError {
  try {
    return evaluator.prepare(toContext(json));
  } catch (error) {
    if (error instanceof ServiceError) return error;
    throw error;
  }
}
