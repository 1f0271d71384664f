import { Decision, DecisionReason, type PolicyError } from "../../../../gen/gatehouse/policy/v1/decision_pb.ts";
import type { ColumnResults, RowResult } from "../../../../gen/gatehouse/policy/v1/stream_pb.ts";
import { ServiceError } from "../../service-error.ts";
import { fromRpcStatus } from "../status.ts";
import type { DecisionAnswer } from "./decision.ts";

/** An answer that breaks the contract: nothing in it can be trusted. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

const noPolicies: readonly string[] = [];
const noErrors: readonly PolicyError[] = [];
/** Most lists of policies that a table may grow to: what keeps a server from filling the client's memory. */
const maxLists = 65_536;

/** The lists of determining policies that a stream's server has told of, by index; index 0 is the empty list. */
export class PolicyListTable {
  #lists: (readonly string[])[] = [noPolicies];

  /** @throws ProtocolError when the table grows beyond its bound. */
  append({ resetPolicyLists, newPolicyLists }: ColumnResults): void {
    if (resetPolicyLists) this.#lists = [noPolicies];
    if (this.#lists.length + newPolicyLists.length > maxLists) throw new ProtocolError("too many policy lists");
    for (const { policyIds } of newPolicyLists) this.#lists.push(policyIds);
  }

  /** @throws ProtocolError when there is no such list. */
  at(index: number | undefined): readonly string[] {
    const list = index === undefined ? undefined : this.#lists[index];
    if (list === undefined) throw new ProtocolError("an unknown policy list");
    return list;
  }
}

/**
 * Reads the answers to a frame of `count` columns; element n answers item n.
 *
 * @throws ProtocolError when they cannot be told apart with certainty.
 */
export function readColumns(
  results: ColumnResults,
  count: number,
  lists: PolicyListTable,
  revision: string,
): (DecisionAnswer | ServiceError)[] {
  const { decisions, policyLists, faults, policyErrors, indeterminate, batchId } = results;
  lists.append(results);
  if (decisions.length !== count) throw new ProtocolError("as many decisions as items");
  if (policyLists.length !== count && policyLists.length !== 1) throw new ProtocolError("as many lists as items");
  const inRange = (index: number): number => {
    if (index >= count) throw new ProtocolError("an item that was not asked");
    return index;
  };
  const errors = new Map(policyErrors.map((entry) => [inRange(entry.index), entry.errors]));
  const undecided = new Set(indeterminate.map(inRange));
  const answers = decisions.map((decision, index): DecisionAnswer | ServiceError => {
    const determiningPolicies = lists.at(policyLists.length === 1 ? policyLists[0] : policyLists[index]);
    const reason = (): DecisionReason => {
      if (decision === Decision.ALLOW) return DecisionReason.PERMITTED;
      if (determiningPolicies.length > 0) return DecisionReason.FORBIDDEN;
      return undecided.has(index) ? DecisionReason.INDETERMINATE : DecisionReason.NO_MATCH;
    };
    if (!isDecision(decision)) return undecidedItem();
    const decisionId = itemId(batchId, index);
    return {
      decision,
      determiningPolicies,
      errors: errors.get(index) ?? noErrors,
      reason: reason(),
      revision,
      decisionId,
    };
  });
  for (const { index, error } of faults) answers[inRange(index)] = fault(error);
  return answers;
}

/** Reads the answer to one row, which `decisionId` names. */
export function readRow({ result }: RowResult, revision: string, decisionId: string): DecisionAnswer | ServiceError {
  if (result.case === "error") return fault(result.value);
  if (result.case !== "decision") return undecidedItem();
  const { decision, determiningPolicies, errors, reason } = result.value;
  if (!isDecision(decision)) return undecidedItem();
  return { decision, determiningPolicies, errors, reason, revision, decisionId };
}

/** Names an item of an answer (stream.proto). */
export function itemId(batchId: string, index: number): string {
  return `${batchId}.${index}`;
}

function fault(error: Parameters<typeof fromRpcStatus>[0] | undefined): ServiceError {
  return error === undefined || error.code === 0 ? undecidedItem() : fromRpcStatus(error);
}

/** Only these two are decisions. */
export function isDecision(value: Decision): value is DecisionAnswer["decision"] {
  return value === Decision.ALLOW || value === Decision.DENY;
}

/** The error of an answer that decides nothing: never taken for a decision. */
export function undecidedItem(): ServiceError {
  return new ServiceError("INTERNAL", "The server answered without a decision.", { reason: "NO_DECISION" });
}
