import assert from "node:assert/strict";
import { test } from "node:test";
import { createEngine } from "../../src/policy/cedar/engine.ts";
import { createEntityStore } from "../../src/policy/cedar/entity-store.ts";
import { createPolicySet } from "../../src/policy/cedar/policy-set.ts";
import { type Answer, askOnce, type PolicyTexts, toPolicySetJson } from "./oracle.ts";
import { extensionVectors, longVectors, type Outcome, WRITTEN } from "./vectors.ts";

const REQUEST = {
  principal: { type: "User", id: "alice" },
  action: { type: "Action", id: "view" },
  resource: { type: "Doc", id: "d" },
  context: {},
};

const BATCH = 250;

/** Evaluates many expressions at once, each as the condition of a policy of its own, with both engines. */
function evaluate(expressions: readonly string[]): { ours: Outcome[]; official: Outcome[] } {
  const ours: Outcome[] = [];
  const official: Outcome[] = [];
  for (let start = 0; start < expressions.length; start += BATCH) {
    const batch = expressions.slice(start, start + BATCH);
    const staticPolicies = Object.fromEntries(
      batch.map((expression, at) => [`p${at}`, `permit(principal, action, resource) when { ${expression} };`]),
    );
    const texts: PolicyTexts = { staticPolicies, templates: {}, templateLinks: [] };
    const engine = createEngine({
      policySet: createPolicySet(toPolicySetJson(texts)),
      entities: createEntityStore([]),
    });
    const { decision, determining, errors } = engine.evaluate(REQUEST);
    const answer: Answer = { decision, reasons: determining, errors: errors.map((error) => error.policyId) };
    const officialAnswer = askOnce(texts, REQUEST);
    for (const id of Object.keys(staticPolicies)) {
      ours.push(outcomeOf(id, answer));
      official.push(outcomeOf(id, officialAnswer));
    }
  }
  return { ours, official };
}

function outcomeOf(id: string, answer: Answer): Outcome {
  return answer.errors.includes(id) ? "error" : answer.reasons.includes(id);
}

/** Labels outcomes so that a difference names its expression. */
function label(expressions: readonly string[], outcomes: readonly Outcome[]): string[] {
  return expressions.map((expression, at) => `${expression} → ${outcomes[at]}`);
}

test("hand-written outcomes hold, here and in the official engine", () => {
  const expressions = WRITTEN.map(([expression]) => expression);
  const written = WRITTEN.map(([, outcome]) => outcome);
  const { ours, official } = evaluate(expressions);
  assert.deepEqual(label(expressions, official), label(expressions, written));
  assert.deepEqual(label(expressions, ours), label(expressions, written));
});

test("Long arithmetic and order are exact at every pair of boundaries", () => {
  const vectors = longVectors();
  const expressions = vectors.map(([expression]) => expression);
  const expected = vectors.map(([, outcome]) => outcome);
  const { ours, official } = evaluate(expressions);
  assert.deepEqual(label(expressions, official), label(expressions, expected));
  assert.deepEqual(label(expressions, ours), label(expressions, expected));
});

test("every extension method on every pair of values agrees with the official engine", () => {
  const expressions = extensionVectors();
  const { ours, official } = evaluate(expressions);
  assert.deepEqual(label(expressions, ours), label(expressions, official));
});
