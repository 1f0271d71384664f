import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createDecision } from "../../src/policy/cedar/decision.ts";
import { createEngine, type Engine, type Evaluation } from "../../src/policy/cedar/engine.ts";
import { createEntityStore } from "../../src/policy/cedar/entity-store.ts";
import { createPolicySet } from "../../src/policy/cedar/policy-set.ts";
import { type Answer, ask, type OracleRequest, preparse, toPolicySetJson } from "./oracle.ts";
import { world } from "./world.ts";

/** Requests compared; GATEHOUSE_FUZZ raises it, GATEHOUSE_FUZZ_SEED changes the worlds. */
const REQUESTS = Number(process.env.GATEHOUSE_FUZZ ?? 3_000);
const SEED = Number(process.env.GATEHOUSE_FUZZ_SEED ?? 20_240_229);
const PER_WORLD = 6;

function answerOf({ decision, determining, errors }: Evaluation): Answer {
  return { decision, reasons: [...determining].sort(), errors: errors.map((error) => error.policyId).sort() };
}

/** The answer of the low-level form. */
function decided(engine: Engine, request: OracleRequest): Answer {
  const out = createDecision();
  const [principal, action, resource] = [request.principal, request.action, request.resource].map(
    engine.resolve,
    engine,
  );
  assert.ok(principal !== undefined && action !== undefined && resource !== undefined);
  engine.decide(principal, action, resource, engine.prepareContext(request.context), out);
  const idOf = (index: number): string => engine.policySet.policyIds[index] ?? "";
  return {
    decision: out.allow ? "ALLOW" : "DENY",
    reasons: out.determining.map(idOf).sort(),
    errors: out.errors.map((error) => idOf(error.policyIndex)).sort(),
  };
}

/** What strict mode must make of the official answer. */
function strictly(official: Answer, isForbid: (id: string) => boolean): Answer & { indeterminate: boolean } {
  const forbidden = official.reasons.some(isForbid);
  const indeterminate = !forbidden && official.errors.some(isForbid);
  return indeterminate ? { ...official, decision: "DENY", reasons: [], indeterminate } : { ...official, indeterminate };
}

test("generated worlds are decided as by the official engine, in every form", () => {
  const parameters = { seed: SEED, numRuns: Math.ceil(REQUESTS / PER_WORLD) };
  const property = fc.property(
    world(PER_WORLD),
    fc.infiniteStream(fc.boolean()),
    ({ policies, entities, requests }, coin) => {
      preparse(policies);
      const policySet = createPolicySet(toPolicySetJson(policies));
      const flips = entities.map(() => coin.next().value === true);
      const resident = entities.filter((_, at) => flips[at]);
      const own = entities.filter((_, at) => !flips[at]);

      const options = { strictForbid: false };
      const whole = createEntityStore(entities);
      const partial = createEntityStore(resident);
      const stale = own.map(({ uid }) => ({ uid, attrs: { n: 7 }, parents: [] }));
      const all = createEngine({ policySet, entities: whole, options });
      const over = createEngine({ policySet, entities: partial, options });
      const replacing = createEngine({ policySet, entities: partial.with(stale), options });
      const batched = createEngine({ policySet, entities: partial.with(stale).with(own), options });
      const regrown = createEngine({
        policySet,
        entities: whole
          .with(stale, [])
          .with(
            [],
            own.map(({ uid }) => uid),
          )
          .with(own),
        options,
      });
      const strict = createEngine({ policySet, entities: whole });
      const isForbid = (id: string): boolean =>
        policySet.policies.find((policy) => policy.id === id)?.effect === "forbid";

      for (const request of requests) {
        const official = ask(request, entities);
        assert.deepEqual(answerOf(all.evaluate(request)), official, "evaluate");
        assert.deepEqual(decided(all, request), official, "decide");
        assert.deepEqual(answerOf(over.evaluate({ ...request, entities: own })), official, "request-scoped entities");
        assert.deepEqual(answerOf(replacing.evaluate({ ...request, entities: own })), official, "replaced entities");
        assert.deepEqual(answerOf(batched.evaluate(request)), official, "entities put in batches");
        assert.deepEqual(answerOf(regrown.evaluate(request)), official, "entities deleted and put again");
        const strictly_ = strict.evaluate(request);
        assert.deepEqual(
          { ...answerOf(strictly_), indeterminate: strictly_.indeterminate },
          strictly(official, isForbid),
          "strict",
        );
      }
    },
  );
  fc.assert(property, parameters);
});
