import { create, fromJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import {
  Decision,
  DecisionReason,
  type Diagnostics,
  DiagnosticsSchema,
  Effect,
  type ItemDecision,
  type PolicyError,
  PolicyOutcome,
} from "../../gen/gatehouse/policy/v1/decision_pb.ts";
import type { Entity, EntityUid } from "../../gen/gatehouse/policy/v1/entity_pb.ts";
import type { EvaluateRequest, EvaluateResponse } from "../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import type { FieldViolation } from "../shared/service-error.ts";
import type { Evaluation } from "./cedar/decision.ts";
import type { PolicyExplanation } from "./cedar/explain.ts";
import type { CedarJsonObject, EntityJson, EntityUid as Uid } from "./cedar/types.ts";
import type { ExplainedDecision, Query } from "./domain/evaluate.ts";
import type { ItemFaults } from "./item-faults.ts";

/** Limits of the contract (entity.proto), in bytes of UTF-8. A test holds them equal to its annotations. */
export const maxTypeBytes = 256;
export const maxIdBytes = 1_024;
/** Limits of the contract (policy_service.proto). */
export const maxEntities = 1_000;
export const maxParents = 1_000;
export const maxRevisionBytes = 128;

const noUid: Uid = { type: "", id: "" };
const noAttributes: CedarJsonObject = {};
const noEntities: readonly EntityJson[] = [];

/** What is wrong with a request by the limits of its contract; a test holds it equal to the annotations. */
export function findViolations(request: EvaluateRequest): readonly FieldViolation[] {
  const violations: FieldViolation[] = [];
  checkUid(request.principal, "principal", violations);
  checkUid(request.action, "action", violations);
  checkUid(request.resource, "resource", violations);
  checkBytes(request.revision, 0, maxRevisionBytes, "revision", violations);
  if (request.entities.length > 0) checkEntities(request.entities, violations);
  return violations;
}

/** A request without violations as a query. */
export function toQuery(request: EvaluateRequest): Query {
  return {
    principal: toUid(request.principal),
    action: toUid(request.action),
    resource: toUid(request.resource),
    context: toContext(request.context),
    entities: request.entities.length === 0 ? noEntities : request.entities.map(toEntity),
  };
}

/** A uid without violations in plain form. */
export function toUid(uid: EntityUid | undefined): Uid {
  return uid ?? noUid;
}

/** A context in plain form; empty when there is none. */
export function toContext(context: JsonObject | undefined): CedarJsonObject {
  return context ?? noAttributes;
}

/** An entity without violations in plain form. */
export function toEntity({ uid, attrs, parents, tags }: Entity): EntityJson {
  return { uid: uid ?? noUid, attrs: attrs ?? noAttributes, parents, tags: tags ?? noAttributes };
}

/** Adds what is wrong with a required uid to the violations. */
export function checkUid(uid: EntityUid | undefined, field: string, violations: FieldViolation[]): void {
  if (uid === undefined) {
    violations.push({ field, description: "is required" });
    return;
  }
  checkBytes(uid.type, 1, maxTypeBytes, `${field}.type`, violations);
  checkBytes(uid.id, 1, maxIdBytes, `${field}.id`, violations);
}

/** Adds what is wrong with entities to the violations. */
export function checkEntities(entities: readonly Entity[], violations: FieldViolation[]): void {
  if (entities.length > maxEntities) {
    violations.push({ field: "entities", description: `must have at most ${maxEntities} items` });
    return;
  }
  for (const [index, { uid, parents }] of entities.entries()) {
    const path = `entities[${index}]`;
    checkUid(uid, `${path}.uid`, violations);
    if (parents.length > maxParents) {
      violations.push({ field: `${path}.parents`, description: `must have at most ${maxParents} items` });
      continue;
    }
    for (const [n, parent] of parents.entries()) checkUid(parent, `${path}.parents[${n}]`, violations);
  }
}

/** Adds a violation unless the text is well-formed and its UTF-8 length is within bounds. */
function checkBytes(text: string, min: number, max: number, field: string, violations: FieldViolation[]): void {
  if (text.length < min) violations.push({ field, description: "must not be empty" });
  // UTF-8 takes at most three bytes for each UTF-16 unit, so only long texts need to be measured.
  else if (text.length * 3 > max && Buffer.byteLength(text) > max) {
    violations.push({ field, description: `must be at most ${max} bytes of UTF-8` });
  } else if (!text.isWellFormed()) {
    violations.push({ field, description: "must be well-formed Unicode, without lone surrogates" });
  }
}

/** Why a decision came out as it did, as told by the engine's evaluation. */
export function toReason(allow: boolean, determining: number, indeterminate: boolean): DecisionReason {
  if (allow) return DecisionReason.PERMITTED;
  if (determining > 0) return DecisionReason.FORBIDDEN;
  return indeterminate ? DecisionReason.INDETERMINATE : DecisionReason.NO_MATCH;
}

function reasonOf({ decision, determining, indeterminate }: Evaluation): DecisionReason {
  return toReason(decision === "ALLOW", determining.length, indeterminate);
}

/** The answer to `Evaluate`. Made whole, as a message: on the hot path, `create` would cost as much as the decision. */
export function fromEvaluation(evaluation: Evaluation, revision: string, decisionId: string): EvaluateResponse {
  return {
    $typeName: "gatehouse.policy.v1.EvaluateResponse",
    decision: evaluation.decision === "ALLOW" ? Decision.ALLOW : Decision.DENY,
    determiningPolicies: evaluation.determining as string[],
    errors: evaluation.errors.length === 0 ? [] : evaluation.errors.map(fromPolicyError),
    revision,
    decisionId,
    reason: reasonOf(evaluation),
  };
}

/** The decision on one item of a batch or a stream. */
export function fromItemEvaluation(evaluation: Evaluation, faults: ItemFaults): ItemDecision {
  return {
    $typeName: "gatehouse.policy.v1.ItemDecision",
    decision: evaluation.decision === "ALLOW" ? Decision.ALLOW : Decision.DENY,
    determiningPolicies: evaluation.determining as string[],
    errors: evaluation.errors.length === 0 ? [] : faults.policyErrors(evaluation.errors),
    reason: reasonOf(evaluation),
  };
}

function fromPolicyError({ policyId, message }: Evaluation["errors"][number]): PolicyError {
  return { $typeName: "gatehouse.policy.v1.PolicyError", policyId, message };
}

const outcomes = {
  satisfied: PolicyOutcome.SATISFIED,
  "not satisfied": PolicyOutcome.NOT_SATISFIED,
  error: PolicyOutcome.ERROR,
} as const;

/** Most candidates that diagnostics list (decision.proto). */
const maxDiagnosed = 1_000;

/** The diagnostics of an explained decision. */
export function fromExplanation({ explanation, stepUps }: ExplainedDecision, policyCount: number): Diagnostics {
  const notable = (policy: PolicyExplanation): number => (policy.result === "not satisfied" ? 1 : 0);
  const policies = explanation.policies.toSorted((a, b) => notable(a) - notable(b)).slice(0, maxDiagnosed);
  return create(DiagnosticsSchema, {
    candidateCount: explanation.candidates,
    policyCount,
    policies: policies.map(({ policyId, effect, result, message, annotations }) => ({
      policyId,
      effect: effect === "permit" ? Effect.PERMIT : Effect.FORBID,
      outcome: outcomes[result],
      error: message ?? "",
      annotations: { ...annotations },
    })),
    stepUpHints: stepUps.map(({ path, value }) => ({
      attribute: path.join("."),
      value: fromJson(ValueSchema, value as JsonValue),
    })),
  });
}
