import type { PolicyDirectory } from "../../policy/adapters/policy-directory.ts";
import { createEngine, type Engine } from "../../policy/cedar/engine.ts";
import type { EntityUid } from "../../policy/cedar/types.ts";
import { normalizeEntities } from "../../policy/domain/entity-normalizer.ts";
import { createRequestValidator } from "../../policy/domain/request-validator.ts";
import type { PolicyTest } from "./test-file.ts";

/** What a test case wants, or what came of it, as lines of `name: value`. */
export type Observation = { readonly [name: string]: string };

/** What came of one test case. */
export type PolicyTestOutcome = {
  readonly passed: boolean;
  readonly wanted: Observation;
  readonly got: Observation;
};

/** Runs test cases on a policy directory's content. */
export type PolicyTestRunner = (test: PolicyTest) => PolicyTestOutcome;

/** Creates a runner. */
export function createTestRunner(loaded: PolicyDirectory, strictForbid: boolean): PolicyTestRunner {
  const engine = createEngine({ ...loaded.compiled, options: { strictForbid } });
  const schema = loaded.schema?.schema;
  const validate = schema && createRequestValidator(schema);
  return (test) => {
    const { request } = test;
    const check = validate?.(request) ?? { ok: true, context: request.context };
    const { entities, faults } = normalizeEntities(request.entities, schema);
    const [fault] = faults;
    const refusal = check.ok ? fault && `entities[${fault.index}]: ${fault.path}: ${fault.reason}` : check.reason;
    const got =
      refusal === undefined && check.ok
        ? observe(engine, { ...request, context: check.context, entities })
        : { refused: refusal! };
    const wanted = describeWanted(test, got);
    const passed = Object.keys(wanted).every((name) => wanted[name] === got[name]) && !(got.refused && !test.refused);
    return { passed, wanted, got };
  };
}

function observe(engine: Engine, request: Parameters<Engine["evaluate"]>[0]): Observation {
  const { decision, determining, errors, indeterminate } = engine.evaluate(request);
  return {
    decision,
    determining: list(determining),
    errors: list(errors.map(({ policyId }) => policyId)),
    indeterminate: String(indeterminate),
  };
}

function describeWanted(
  { decision, determining, errors, indeterminate, refused }: PolicyTest,
  got: Observation,
): Observation {
  if (refused !== undefined) return { refused: got.refused?.includes(refused) ? got.refused : refused };
  return {
    decision: decision!,
    ...(determining && { determining: list(determining) }),
    errors: list(errors),
    indeterminate: String(indeterminate),
  };
}

function list(ids: readonly string[]): string {
  return ids.length === 0 ? "none" : [...ids].sort().join(", ");
}

/** Writes an outcome as a diff: what was wanted and did not come, what came instead. */
export function describeDifference({ wanted, got }: PolicyTestOutcome): string[] {
  const names = new Set([...Object.keys(wanted), ...Object.keys(got)]);
  return [...names].flatMap((name) => {
    if (wanted[name] === got[name]) return [`  ${name}: ${got[name]}`];
    const lines = wanted[name] === undefined ? [] : [`- ${name}: ${wanted[name]}`];
    // What is not asked for is shown beside, not held against the test.
    if (got[name] !== undefined)
      lines.push(wanted[name] === undefined && !got.refused ? `  ${name}: ${got[name]}` : `+ ${name}: ${got[name]}`);
    return lines;
  });
}

/** Writes an entity uid as policies do. */
export function formatUid({ type, id }: EntityUid): string {
  return `${type}::${JSON.stringify(id)}`;
}
