import type { CedarJson, CedarJsonObject, EntityJson, EntityUid, PolicySetJson } from "../../policy/cedar/types.ts";
import { readUid } from "../../policy/domain/conformance.ts";
import { parseExactJson } from "../../policy/domain/exact-json.ts";
import type { CorpusFiles } from "./corpus-files.ts";

/** One request of a case, with what is wanted of it. */
export type CorpusRequest = {
  readonly description: string;
  readonly principal: EntityUid;
  readonly action: EntityUid;
  readonly resource: EntityUid;
  readonly context: CedarJsonObject;
  /** Whether the request conforms to the schema. */
  readonly validate: boolean;
  readonly decision: "ALLOW" | "DENY";
  readonly reason: readonly string[];
  readonly errors: readonly string[];
};

/** One case: a policy set, a schema, entities, and requests. */
export type CorpusCase = {
  readonly name: string;
  /** Cedar text, or the JSON form of a set. */
  readonly policies: string | PolicySetJson;
  readonly schema: string;
  readonly entities: readonly EntityJson[];
  readonly shouldValidate: boolean;
  readonly requests: readonly CorpusRequest[];
};

/** A case that cannot be read; all its requests count as failed. */
export class CorpusCaseError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "CorpusCaseError";
  }
}

type CaseJson = { readonly [field: string]: CedarJson };

/**
 * Reads a file's text as a case. Answers undefined for JSON files that are none: schemas, policies, entities.
 *
 * @see https://github.com/cedar-policy/cedar-integration-tests#test-format
 */
export function parseCase(text: string): CaseJson | undefined {
  const json = parseExactJson(text);
  if (!isObject(json) || typeof json.policies !== "string" || !listRequests(json)) return undefined;
  return json;
}

/** The requests of a case; `queries` is their name in older files. */
export function listRequests(json: CaseJson): readonly CedarJson[] | undefined {
  const list = json.requests ?? json.queries;
  return Array.isArray(list) ? list : undefined;
}

/** Reads all that a case names. */
export async function loadCase(name: string, json: CaseJson, files: CorpusFiles): Promise<CorpusCase> {
  const read = async (field: string): Promise<string> => {
    const file = json[field];
    const text = typeof file === "string" ? await files.read(file) : undefined;
    if (text === undefined) throw new CorpusCaseError(`${field}: there is no file ${String(file)}`);
    return text;
  };
  const policies = await read("policies");
  const entities = parseExactJson(await read("entities"));
  if (!Array.isArray(entities)) throw new CorpusCaseError("entities: expected a list");
  return {
    name,
    policies: json.policyFormat === "json" ? (parseExactJson(policies) as unknown as PolicySetJson) : policies,
    schema: await read("schema"),
    entities: entities as unknown as EntityJson[],
    shouldValidate: json.shouldValidate === true,
    requests: listRequests(json)!.map(readRequest),
  };
}

function readRequest(json: CedarJson, index: number): CorpusRequest {
  if (!isObject(json)) throw new CorpusCaseError(`request ${index}: expected an object`);
  const uid = (field: string): EntityUid => {
    const found = readUid(json[field] ?? null);
    if (!found) throw new CorpusCaseError(`request ${index}: ${field} is no entity`);
    return found;
  };
  const ids = (value: CedarJson | undefined): string[] => {
    if (!Array.isArray(value)) throw new CorpusCaseError(`request ${index}: expected a list of policy ids`);
    return value.map(String);
  };
  const { context = {}, decision } = json;
  if (!isObject(context)) throw new CorpusCaseError(`request ${index}: context is no object`);
  return {
    description: String(json.description ?? `request ${index}`),
    principal: uid("principal"),
    action: uid("action"),
    resource: uid("resource"),
    context,
    validate: json.validateRequest !== false,
    decision: String(decision).toUpperCase() === "ALLOW" ? "ALLOW" : "DENY",
    reason: ids(json.reason ?? json.reasons),
    errors: ids(json.errors),
  };
}

function isObject(value: CedarJson): value is CedarJsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
