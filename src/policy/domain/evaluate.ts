import { type FieldViolation, invalidArgument } from "../../shared/service-error.ts";
import type { Evaluation } from "../cedar/decision.ts";
import type { AuthorizationRequest } from "../cedar/engine.ts";
import { isTypeName } from "../cedar/entity-ref.ts";
import { EntityError, ValueError } from "../cedar/errors.ts";
import { type Explanation, explain as explainRequest, findStepUps, type StepUp } from "../cedar/explain.ts";
import type { CedarJsonObject, EntityJson, EntityUid } from "../cedar/types.ts";
import type { Snapshot } from "./snapshot.ts";

/** A request with its context, as it comes from the wire. */
export type Query = AuthorizationRequest & {
  readonly principal: EntityUid;
  readonly action: EntityUid;
  readonly resource: EntityUid;
  readonly context: CedarJsonObject;
};

/**
 * Decides one request on one snapshot.
 *
 * @throws ServiceError INVALID_ARGUMENT when the request is not in Cedar's form or does not fit the schema.
 */
export function evaluate(snapshot: Snapshot, query: Query): Evaluation {
  const admitted = admit(snapshot, query);
  return refusingMalformed(query, () => snapshot.engine.evaluate(admitted));
}

/**
 * The snapshot with a caller's entities over the resident ones, for several requests.
 *
 * @throws ServiceError INVALID_ARGUMENT when the entities are malformed.
 */
export function overlay(snapshot: Snapshot, entities: readonly EntityJson[]): Snapshot {
  try {
    return { ...snapshot, engine: snapshot.engine.over(snapshot.engine.entities.with(entities)) };
  } catch (error) {
    if (!(error instanceof EntityError || error instanceof ValueError)) throw error;
    throw invalidArgument([{ field: "entities", description: error.message }]);
  }
}

/** A decision explained, with the context attributes that would turn a DENY into ALLOW. */
export interface ExplainedDecision {
  readonly explanation: Explanation;
  readonly stepUps: readonly StepUp[];
}

/** Explains how one request is decided. Throws as {@link evaluate}. */
export function explain(snapshot: Snapshot, query: Query, stepUps: readonly StepUp[]): ExplainedDecision {
  const admitted = admit(snapshot, query);
  return refusingMalformed(query, () => ({
    explanation: explainRequest(snapshot.engine, admitted),
    stepUps: findStepUps(snapshot.engine, admitted, stepUps),
  }));
}

/** The request as the schema reads it: implicit references in its context made explicit. */
function admit(snapshot: Snapshot, query: Query): Query {
  if (snapshot.requestValidator === undefined) return query;
  const check = snapshot.requestValidator(query);
  if (!check.ok) throw invalidArgument([{ field: check.field, description: check.reason }]);
  return check.context === query.context ? query : { ...query, context: check.context };
}

/** Turns the engine's refusals of malformed input into violations. */
function refusingMalformed<T>(query: Query, run: () => T): T {
  try {
    return run();
  } catch (error) {
    const violation = toViolation(error, query);
    throw violation === undefined ? error : invalidArgument([violation]);
  }
}

function toViolation(error: unknown, query: Query): FieldViolation | undefined {
  if (error instanceof ValueError) return { field: error.path, description: error.reason };
  if (!(error instanceof EntityError)) return undefined;
  if (error.uid !== undefined) return { field: "entities", description: `${error.uid}: ${error.reason}` };
  const malformed = (["principal", "action", "resource"] as const).find((field) => !isTypeName(query[field].type));
  return { field: malformed === undefined ? "entities" : `${malformed}.type`, description: error.reason };
}
