import type { PolicySet, ValidationError } from "@cedar-policy/cedar-wasm/nodejs";
import type { PolicyJson, PolicySetJson } from "../cedar/types.ts";
import { type Diagnostic, fromDetailedError, type Place, PolicySourceError, type Severity } from "./diagnostics.ts";
import type { ParsedSchema } from "./schema-source.ts";
import type { ParsedPolicies } from "./sources.ts";
import type { WasmClient } from "./wasm-client.ts";

/** A policy, template or link as it is handed over: under a name of ours, so that any id passes through unchanged. */
type Item = { readonly id: string; readonly policy: string | PolicyJson; readonly place: Place | undefined };

/** Policies validated in one call, so that the timeout is for a piece of work whose size is known. */
const CHUNK = 200;

/** Validates a policy set strictly, with the official validator. Answers every finding, unsorted. */
export async function validatePolicies(
  wasm: WasmClient,
  policies: ParsedPolicies | PolicySetJson,
  schema: ParsedSchema,
): Promise<Diagnostic[]> {
  const policySet = "policySet" in policies ? policies.policySet : policies;
  const places = new Map("policies" in policies ? policies.policies.map(({ id, place }) => [id, place]) : []);
  const toItem = ([id, json]: [string, PolicyJson]): Item => {
    const place = places.get(id);
    return { id, place, policy: place ? place.source.text.slice(place.start, place.end) : prepareJson(id, json) };
  };
  const statics = Object.entries(policySet.staticPolicies ?? {}).map(toItem);
  const templates = Object.entries(policySet.templates ?? {}).map(toItem);
  const diagnostics: Diagnostic[] = [];
  for (let from = 0; from < statics.length; from += CHUNK) {
    const items = statics.slice(from, from + CHUNK);
    const staticPolicies = Object.fromEntries(items.map(({ policy }, at) => [`p${at}`, policy])) as never;
    diagnostics.push(
      ...(await validateChunk(wasm, schema, { staticPolicies }, (name) => items[Number(name.slice(1))]!)),
    );
  }
  if (templates.length === 0) return diagnostics;
  const names = new Map(templates.map(({ id }, at) => [id, `t${at}`]));
  const links = policySet.templateLinks ?? [];
  const set: PolicySet = {
    templates: Object.fromEntries(templates.map(({ policy }, at) => [`t${at}`, policy])) as never,
    templateLinks: links.map(({ templateId, values }, at) => ({
      templateId: names.get(templateId)!,
      newId: `l${at}`,
      values,
    })),
  };
  const find = (name: string): Item => {
    const at = Number(name.slice(1));
    if (name.startsWith("t")) return templates[at]!;
    const link = links[at]!;
    return { id: link.newId, policy: "", place: places.get(link.templateId) };
  };
  return [...diagnostics, ...(await validateChunk(wasm, schema, set, find))];
}

async function validateChunk(
  wasm: WasmClient,
  schema: ParsedSchema,
  policies: PolicySet,
  find: (name: string) => Item,
): Promise<Diagnostic[]> {
  const [answer] = await wasm.call("validate", [[{ schema: schema.source as never, policies }]]);
  if (answer!.type === "failure") {
    return answer!.errors.flatMap((error) => fromDetailedError(error, "error", undefined, undefined));
  }
  const convert =
    (severity: Severity) =>
    (finding: ValidationError): Diagnostic[] => {
      const { id, place } = find(finding.policyId);
      return fromDetailedError(finding.error, severity, place, id);
    };
  return [
    ...answer!.validationErrors.flatMap(convert("error")),
    ...answer!.validationWarnings.flatMap(convert("warning")),
  ];
}

/** Levels that the official implementation reads of a policy in JSON. */
const MAX_JSON_DEPTH = 110;

/**
 * Makes a policy in JSON ready: the wasm build takes no bigint, and which Long it is makes no difference to a type.
 *
 * @throws PolicySourceError for what would exhaust it, or not be carried to it unchanged
 */
function prepareJson(policyId: string, json: PolicyJson): PolicyJson {
  const refuse = (message: string): never => {
    throw new PolicySourceError([{ severity: "error", message, policyId }]);
  };
  const prepare = (value: unknown, depth: number): unknown => {
    if (depth > MAX_JSON_DEPTH) return refuse(`nested more than ${MAX_JSON_DEPTH} levels deep in JSON`);
    if (typeof value === "bigint") return Number.MAX_SAFE_INTEGER;
    if (typeof value === "string" && !value.isWellFormed()) return refuse("a lone surrogate is not valid Unicode text");
    if (Array.isArray(value)) return value.map((element) => prepare(element, depth + 1));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [prepare(key, depth), prepare(inner, depth + 1)]),
    );
  };
  return prepare(json, 0) as PolicyJson;
}
