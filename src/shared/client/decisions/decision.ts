import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import type { Decision, DecisionReason, PolicyError } from "../../../../gen/gatehouse/policy/v1/decision_pb.ts";
import type { EntitySchema } from "../../../../gen/gatehouse/policy/v1/entity_pb.ts";

/** The name of an entity, `Type::"id"`. */
export interface EntityName {
  readonly type: string;
  readonly id: string;
}

/** May this principal perform this action on this resource? */
export interface DecisionRequest {
  readonly principal: EntityName;
  readonly action: EntityName;
  readonly resource: EntityName;
  /** Facts about the request in Cedar's JSON form. */
  readonly context?: JsonObject | undefined;
  /** Entities of this request alone, laid over the resident ones. Slower than requests without. */
  readonly entities?: readonly MessageInitShape<typeof EntitySchema>[] | undefined;
}

/** The answer. Only `Decision.ALLOW` is a permission. */
export interface DecisionAnswer {
  readonly decision: typeof Decision.ALLOW | typeof Decision.DENY;
  /** Identifiers of the policies that made the decision. Empty when denied by default. */
  readonly determiningPolicies: readonly string[];
  /** Policies that failed. */
  readonly errors: readonly PolicyError[];
  readonly reason: DecisionReason;
  /** Policy revision that was used. */
  readonly revision: string;
  /** Names this decision in policy-service's logs and audit events. */
  readonly decisionId: string;
}

export interface DecisionOptions {
  /** When the caller stops waiting, in milliseconds since the epoch. */
  readonly deadline?: number | undefined;
  /** Withdraws the question. */
  readonly signal?: AbortSignal | undefined;
  /** W3C `traceparent` and `x-request-id` of the call that asks, for traces. */
  readonly traceparent?: string | undefined;
  readonly requestId?: string | undefined;
}

export interface DecisionClient {
  /**
   * Asks for one decision. Answers exactly once, by the deadline.
   *
   * @throws ServiceError INVALID_ARGUMENT naming the field; UNAVAILABLE with a retry delay when policy-service is down,
   *   slow, cut off or too much is waiting; DEADLINE_EXCEEDED when the caller's own deadline passed; CANCELLED.
   */
  evaluate(request: DecisionRequest, options?: DecisionOptions): Promise<DecisionAnswer>;
  /** Ends the connection; questions that wait for their answer get CANCELLED. */
  close(): void;
}
