import { createEngine, type Engine } from "../../policy/cedar/engine.ts";
import { createEntityStore } from "../../policy/cedar/entity-store.ts";
import { createPolicySet } from "../../policy/cedar/policy-set.ts";
import type { CedarJsonObject, PolicySetJson } from "../../policy/cedar/types.ts";
import type { CedarControl } from "../../policy/control/cedar-control.ts";
import type { ParsedSchema } from "../../policy/control/schema-source.ts";
import type { ParsedPolicies } from "../../policy/control/sources.ts";
import { ConformanceError, conformRecord } from "../../policy/domain/conformance.ts";
import { actionEntities, normalizeEntities } from "../../policy/domain/entity-normalizer.ts";
import { createRequestValidator, type RequestValidator } from "../../policy/domain/request-validator.ts";
import { type CedarSchema, findAction } from "../../policy/domain/schema.ts";
import type { CorpusCase, CorpusRequest } from "./corpus-case.ts";

/** What came of a case: how many requests were answered as wanted, and what was wrong. */
export type CaseOutcome = {
  readonly passed: number;
  /** One for each request that was not, and one more when validation differs. */
  readonly failures: readonly string[];
};

/** Validates a case's policies and evaluates its requests, by Cedar's own rule for policies that fail. */
export async function runCase(corpusCase: CorpusCase, control: CedarControl): Promise<CaseOutcome> {
  const { name, policies, entities, requests } = corpusCase;
  try {
    const schema = await control.parseSchema(corpusCase.schema);
    const parsed =
      typeof policies === "string" ? await control.parsePolicies(policies, { naming: "position" }) : policies;
    const failures = await checkValidation(corpusCase, parsed, schema, control);
    const engine = buildEngine("policySet" in parsed ? parsed.policySet : parsed, entities, schema.schema);
    const validateRequest = createRequestValidator(schema.schema);
    const answers = requests.map((request) => checkRequest(request, engine, schema.schema, validateRequest));
    const wrong = answers.flatMap((answer, index) =>
      answer === undefined ? [] : [`${name}: ${requests[index]!.description}: ${answer}`],
    );
    return { passed: requests.length - wrong.length, failures: [...failures, ...wrong] };
  } catch (error) {
    const reason = (error as Error).message;
    return { passed: 0, failures: requests.map(({ description }) => `${name}: ${description}: ${reason}`) };
  }
}

/** A finding that was an error of validation when the corpus was made, and is a warning now. */
const NO_APPLICABLE_ACTION = /unable to find an applicable action/;

async function checkValidation(
  { name, shouldValidate }: CorpusCase,
  policies: ParsedPolicies | PolicySetJson,
  schema: ParsedSchema,
  control: CedarControl,
): Promise<string[]> {
  const found = await control.validate(policies, schema);
  const errors = found.filter(({ severity }) => severity === "error");
  if (shouldValidate) {
    return errors.length === 0 ? [] : [`${name}: validation: wanted none, found ${errors[0]!.message}`];
  }
  const refused = errors.length > 0 || found.some(({ message }) => NO_APPLICABLE_ACTION.test(message));
  return refused ? [] : [`${name}: validation: wanted a finding, found none`];
}

function buildEngine(policySet: PolicySetJson, list: CorpusCase["entities"], schema: CedarSchema): Engine {
  const { entities, faults } = normalizeEntities(list, schema);
  const [fault] = faults;
  if (fault) throw new Error(`entity ${fault.uid ?? fault.index}: ${fault.path}: ${fault.reason}`);
  const declared = entities.filter(({ uid }) => !findAction(schema, uid));
  return createEngine({
    policySet: createPolicySet(policySet),
    entities: createEntityStore([...declared, ...actionEntities(schema)]),
    options: { strictForbid: false },
  });
}

/** Answers what is wrong, or undefined. */
function checkRequest(
  request: CorpusRequest,
  engine: Engine,
  schema: CedarSchema,
  validate: RequestValidator,
): string | undefined {
  const { principal, action, resource, decision, reason, errors } = request;
  const context = explicitContext(request, schema, validate);
  if (typeof context === "string") return `the request is refused: ${context}`;
  const answer = engine.evaluate({ principal, action, resource, context });
  const differences = [
    describeDifference("decision", [decision], [answer.decision]),
    describeDifference("reason", reason, answer.determining),
    describeDifference(
      "errors",
      errors,
      answer.errors.map(({ policyId }) => policyId),
    ),
  ].filter(Boolean);
  return differences.length === 0 ? undefined : differences.join("; ");
}

function explicitContext(
  request: CorpusRequest,
  schema: CedarSchema,
  validate: RequestValidator,
): CedarJsonObject | string {
  if (request.validate) {
    const check = validate(request);
    return check.ok ? check.context : `${check.field}: ${check.reason}`;
  }
  const action = findAction(schema, request.action);
  try {
    return action ? conformRecord(schema, action.context, request.context, "context") : request.context;
  } catch (error) {
    if (error instanceof ConformanceError) return error.message;
    throw error;
  }
}

function describeDifference(what: string, wanted: readonly string[], got: readonly string[]): string | undefined {
  const same = wanted.every((id) => got.includes(id)) && got.every((id) => wanted.includes(id));
  return same ? undefined : `${what}: wanted ${wanted.join(", ") || "none"}, got ${got.join(", ") || "none"}`;
}
