import {
  isAuthorized,
  policyToJson,
  preparsePolicySet,
  statefulIsAuthorized,
  templateToJson,
} from "@cedar-policy/cedar-wasm/nodejs";
import type {
  CedarJsonObject,
  EntityJson,
  EntityUid,
  PolicyJson,
  PolicySetJson,
} from "../../src/policy/cedar/types.ts";

/**
 * The official engine, as the tests' oracle. It must be given bounded input: a call that throws leaks its stack, and a
 * deep policy traps the module for good. So these functions let everything it throws through.
 */

/** A policy set as text: what both engines are given. */
export interface PolicyTexts {
  readonly staticPolicies: Readonly<Record<string, string>>;
  readonly templates: Readonly<Record<string, string>>;
  readonly templateLinks: readonly {
    readonly templateId: string;
    readonly newId: string;
    readonly values: Readonly<Record<string, EntityUid>>;
  }[];
}

export interface OracleRequest {
  readonly principal: EntityUid;
  readonly action: EntityUid;
  readonly resource: EntityUid;
  readonly context: CedarJsonObject;
}

/** An answer as sets in order, comparable with `deepEqual`. */
export interface Answer {
  readonly decision: "ALLOW" | "DENY";
  readonly reasons: readonly string[];
  readonly errors: readonly string[];
}

const PREPARSED = "oracle";

type Wasm = typeof import("@cedar-policy/cedar-wasm/nodejs");
type WasmPolicySet = Parameters<Wasm["preparsePolicySet"]>[1];
type WasmCall = Parameters<Wasm["statefulIsAuthorized"]>[0];

/** Parses the set once for any number of {@link ask} calls. */
export function preparse(policies: PolicyTexts): void {
  const answer = preparsePolicySet(PREPARSED, policies as unknown as WasmPolicySet);
  if (answer.type === "failure") throw new Error(`oracle refused the policies: ${answer.errors[0]?.message}`);
}

/** The official answer for the set last given to {@link preparse}. */
export function ask(request: OracleRequest, entities: readonly EntityJson[]): Answer {
  const call = { ...request, preparsedPolicySetId: PREPARSED, entities } as unknown as WasmCall;
  return read(statefulIsAuthorized(call));
}

/** The official answer for one policy set and no entities. */
export function askOnce(policies: PolicyTexts, request: OracleRequest): Answer {
  const call = { ...request, policies, entities: [] } as unknown as Parameters<Wasm["isAuthorized"]>[0];
  return read(isAuthorized(call));
}

function read(answer: ReturnType<Wasm["isAuthorized"]>): Answer {
  if (answer.type === "failure") throw new Error(`oracle refused the request: ${answer.errors[0]?.message}`);
  const { decision, diagnostics } = answer.response;
  return {
    decision: decision === "allow" ? "ALLOW" : "DENY",
    reasons: [...diagnostics.reason].sort(),
    errors: diagnostics.errors.map((error) => error.policyId).sort(),
  };
}

/** Converts the texts to the JSON format by the official parser, Longs beyond 2^53 exact. */
export function toPolicySetJson(policies: PolicyTexts): PolicySetJson {
  const convert = (texts: Readonly<Record<string, string>>, parse: typeof policyToJson): Record<string, PolicyJson> =>
    Object.fromEntries(Object.entries(texts).map(([id, text]) => [id, exactJson(text, parse)]));
  return {
    staticPolicies: convert(policies.staticPolicies, policyToJson),
    templates: convert(policies.templates, templateToJson),
    templateLinks: policies.templateLinks,
  };
}

const LONG_OR_STRING = /"(?:[^"\\]|\\.)*"|(?<![\w])\d{16,}/g;

/**
 * The official parser rounds Longs in its JSON. So each long literal is replaced by a stand-in that survives, and put
 * back afterwards.
 */
function exactJson(text: string, parse: typeof policyToJson): PolicyJson {
  const exact = new Map<number, bigint>();
  const standIns = text.replace(LONG_OR_STRING, (token) => {
    if (token.startsWith('"')) return token;
    const standIn = 8_000_000_000_000_000 + exact.size;
    exact.set(standIn, BigInt(token));
    return String(standIn);
  });
  const answer = parse(standIns);
  if (answer.type === "failure") throw new Error(`oracle cannot parse ${text}: ${answer.errors[0]?.message}`);
  return restore(answer.json, exact) as PolicyJson;
}

function restore(json: unknown, exact: ReadonlyMap<number, bigint>): unknown {
  if (typeof json === "number") {
    const value = exact.get(Math.abs(json));
    if (value === undefined) return json;
    return json < 0 ? -value : value;
  }
  if (Array.isArray(json)) return json.map((element) => restore(element, exact));
  if (typeof json !== "object" || json === null) return json;
  return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, restore(value, exact)]));
}
