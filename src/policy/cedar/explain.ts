import type { AuthorizationRequest, Engine, Evaluation } from "./engine.ts";
import { EvaluationFailure } from "./errors.ts";
import type { CedarJson, CedarJsonObject } from "./types.ts";
import { isObject } from "./value-json.ts";

/** What one candidate policy contributes to an answer. */
export interface PolicyExplanation {
  readonly policyId: string;
  readonly effect: "permit" | "forbid";
  readonly result: "satisfied" | "not satisfied" | "error";
  /** The error, where `result` is one. */
  readonly message?: string;
  /** The template the policy is a link of. */
  readonly templateId?: string;
  /** The policy's annotations, `@id` among them. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** An answer with how it came about. */
export interface Explanation extends Evaluation {
  /** How many policies of the set the index did not rule out by scope. */
  readonly candidates: number;
  /** The candidates, in the policy set's order. */
  readonly policies: readonly PolicyExplanation[];
}

/** Decides a request and explains the answer. Throws as {@link Engine.evaluate}. */
export function explain(engine: Engine, request: AuthorizationRequest): Explanation {
  const found: { index: number; explanation: PolicyExplanation }[] = [];
  engine.forEachCandidate(request, ({ policy, applies }, env) => {
    let outcome: Pick<PolicyExplanation, "result" | "message">;
    try {
      outcome = { result: applies(env) ? "satisfied" : "not satisfied" };
    } catch (error) {
      const message = error instanceof EvaluationFailure ? error.message : "evaluation failed unexpectedly";
      outcome = { result: "error", message };
    }
    const { index, id, effect, templateId } = policy;
    const annotations = Object.fromEntries(policy.annotations);
    const link = templateId === undefined ? {} : { templateId };
    found.push({ index, explanation: { policyId: id, effect, ...outcome, ...link, annotations } });
  });
  found.sort((left, right) => left.index - right.index);
  return {
    ...engine.evaluate(request),
    candidates: found.length,
    policies: found.map(({ explanation }) => explanation),
  };
}

/** A context attribute that a caller could obtain, for example by a second factor. */
export interface StepUp {
  /** The attribute's path below the context, for example `["mfa"]` or `["session", "assurance"]`. */
  readonly path: readonly string[];
  readonly value: CedarJson;
}

/**
 * Finds which of the step-ups, each on its own, would turn the request's DENY into ALLOW. Empty when it is allowed
 * already. Throws as {@link Engine.evaluate}.
 */
export function findStepUps(engine: Engine, request: AuthorizationRequest, stepUps: readonly StepUp[]): StepUp[] {
  if (stepUps.length === 0 || engine.evaluate(request).decision === "ALLOW") return [];
  return stepUps.filter(({ path, value }) => {
    const context = withAttribute(request.context ?? {}, path, value);
    return context !== undefined && engine.evaluate({ ...request, context }).decision === "ALLOW";
  });
}

/** The context with one attribute set, records made on the way; `undefined` when something else is in the way. */
function withAttribute(
  context: CedarJsonObject,
  path: readonly string[],
  value: CedarJson,
): CedarJsonObject | undefined {
  const [name, ...rest] = path;
  if (name === undefined) return undefined;
  if (rest.length === 0) return { ...context, [name]: value };
  const inner = Object.hasOwn(context, name) ? context[name] : {};
  const changed = isObject(inner) ? withAttribute(inner, rest, value) : undefined;
  return changed && { ...context, [name]: changed };
}
