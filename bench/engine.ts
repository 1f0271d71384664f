import {
  type AuthorizationCall,
  preparsePolicySet,
  type StatefulAuthorizationCall,
  statefulIsAuthorized,
} from "@cedar-policy/cedar-wasm/nodejs";
import { createDecision } from "../src/policy/cedar/decision.ts";
import { type AuthorizationRequest, createEngine, type Engine } from "../src/policy/cedar/engine.ts";
import { createEntityStore } from "../src/policy/cedar/entity-store.ts";
import { createPolicySet } from "../src/policy/cedar/policy-set.ts";
import type { EntityJson, EntityUid, PolicyJson } from "../src/policy/cedar/types.ts";

/**
 * Time per decision of the native engine against cedar-wasm with the policy set preparsed, on the same inputs, in one
 * process on one core. Each figure is the median of slices of a fixed duration, after a warm-up.
 */
export interface EngineBenchOptions {
  /** Milliseconds of one measurement. Default 400. */
  readonly milliseconds?: number;
}

/** Microseconds a decision, and how many times longer the official engine takes. */
interface Comparison {
  readonly native: number;
  readonly wasm: number;
  readonly ratio: number;
}

const SIZES = [10, 100, 1_000, 10_000];
const UNINDEXABLE_SIZES = [10, 100, 1_000];
const SLICES = 5;
const CONTEXT = { hour: 9, mfa: true, ip: { __extn: { fn: "ip", arg: "10.1.2.3" } } };

/** Runs the whole bench, in under a minute. */
export async function runEngineBench(options: EngineBenchOptions = {}): Promise<Record<string, unknown>> {
  const milliseconds = options.milliseconds ?? 400;
  const residents = residentEntities();
  const indexable: Record<string, unknown> = {};
  const decideTimes: number[] = [];
  for (const size of SIZES) {
    const policies = indexablePolicies(size);
    const engine = createEngine({
      policySet: createPolicySet({ staticPolicies: policies }),
      entities: createEntityStore(residents),
    });
    const bare = createEngine({ policySet: engine.policySet, entities: createEntityStore([]) });
    const official = preparse(`indexable-${size}`, policies);
    const requests = residentRequests();
    const scoped = requests.map((request) => ({ ...request, entities: requestEntities(request) }));
    assertAgreement(engine, official, requests.slice(0, 20), residents);
    const wasmResident = measure(milliseconds, requests, (request) => official(request, residents));
    const wasmScoped = measure(milliseconds, scoped, (request) => official(request, request.entities));
    const decide = measureDecide(engine, milliseconds);
    decideTimes.push(decide);
    indexable[size] = {
      "decide, 100 resident entities": compare(decide, wasmResident),
      "evaluate JSON, 100 resident entities": compare(
        measure(milliseconds, requests, (request) => engine.evaluate(request)),
        wasmResident,
      ),
      "evaluate JSON, 5 request-supplied entities": compare(
        measure(milliseconds, scoped, (request) => bare.evaluate(request)),
        wasmScoped,
      ),
    };
  }
  const unindexable: Record<string, unknown> = {};
  for (const size of UNINDEXABLE_SIZES) {
    const policies = unindexablePolicies(size);
    const engine = createEngine({
      policySet: createPolicySet({ staticPolicies: policies }),
      entities: createEntityStore(residents),
    });
    const official = preparse(`unindexable-${size}`, policies);
    const requests = residentRequests();
    assertAgreement(engine, official, requests.slice(0, 5), residents);
    const wasm = measure(milliseconds, requests, (request) => official(request, residents));
    unindexable[size] = { "decide, 100 resident entities": compare(measureDecide(engine, milliseconds), wasm) };
  }
  return {
    unit: "microseconds a decision",
    node: process.version,
    indexable,
    unindexable,
    "decisions per second, 100 indexable policies": Math.round(1e6 / (decideTimes[1] ?? Number.NaN)),
    "growth from 10 to 10000 indexable policies": round(
      (decideTimes.at(-1) ?? Number.NaN) / (decideTimes[0] ?? Number.NaN),
    ),
  };
}

function compare(native: number, wasm: number): Comparison {
  return { native: round(native), wasm: round(wasm), ratio: Math.round(wasm / native) };
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}

/** The median microseconds of one call over time slices. */
function measure<T>(milliseconds: number, inputs: readonly T[], call: (input: T) => unknown): number {
  let next = 0;
  const slice = (duration: number): number => {
    const start = performance.now();
    let calls = 0;
    let elapsed = 0;
    do {
      for (let repeat = 0; repeat < 4; repeat++) call(inputs[next++ % inputs.length] as T);
      calls += 4;
      elapsed = performance.now() - start;
    } while (elapsed < duration);
    return (elapsed * 1_000) / calls;
  };
  slice(milliseconds / SLICES);
  return median(Array.from({ length: SLICES }, () => slice(milliseconds / SLICES)));
}

/** The median microseconds of `decide` on handles, in batches so that the clock costs nothing. */
function measureDecide(engine: Engine, milliseconds: number): number {
  const requests = residentRequests().map(({ principal, action, resource }) =>
    [principal, action, resource].map(engine.resolve, engine),
  );
  const context = engine.prepareContext(CONTEXT);
  const out = createDecision();
  const pass = (): void => {
    for (let repeat = 0; repeat < 20; repeat++) {
      for (const [principal, action, resource] of requests) {
        if (principal && action && resource) engine.decide(principal, action, resource, context, out);
      }
    }
  };
  return measure(milliseconds, [pass], (run) => run()) / (20 * requests.length);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

type Official = (request: AuthorizationRequest, entities: readonly EntityJson[]) => string;

/** The official engine with the policies parsed once. */
function preparse(id: string, policies: Record<string, PolicyJson>): Official {
  const answer = preparsePolicySet(id, { staticPolicies: policies } as unknown as AuthorizationCall["policies"]);
  if (answer.type === "failure") throw new Error(answer.errors[0]?.message ?? "cannot parse");
  return ({ principal, action, resource, context }, entities) => {
    const call = { principal, action, resource, context, entities, preparsedPolicySetId: id };
    const response = statefulIsAuthorized(call as unknown as StatefulAuthorizationCall);
    if (response.type === "failure") throw new Error(response.errors[0]?.message ?? "refused");
    return response.response.decision.toUpperCase();
  };
}

function assertAgreement(
  engine: Engine,
  official: Official,
  requests: readonly AuthorizationRequest[],
  entities: readonly EntityJson[],
): void {
  for (const request of requests) {
    if (engine.evaluate(request).decision !== official(request, entities)) throw new Error("the engines disagree");
  }
}

const uid = (type: string, id: string): { readonly type: string; readonly id: string } => ({ type, id });
const GROUPS = 10;
const FOLDERS = 5;
const USERS = 40;
const DOCS = 42;

/** 100 entities: actions in a group, folders, groups, users in groups, documents in folders. */
function residentEntities(): EntityJson[] {
  const make = (count: number, entity: (at: number) => EntityJson): EntityJson[] =>
    Array.from({ length: count }, (_, at) => entity(at));
  return [
    { uid: uid("Action", "all"), attrs: {}, parents: [] },
    { uid: uid("Action", "view"), attrs: {}, parents: [uid("Action", "all")] },
    { uid: uid("Action", "edit"), attrs: {}, parents: [uid("Action", "all")] },
    ...make(GROUPS, (at) => ({ uid: uid("Group", `g${at}`), attrs: {}, parents: [] })),
    ...make(FOLDERS, (at) => ({
      uid: uid("Folder", `f${at}`),
      attrs: {},
      parents: at === 0 ? [] : [uid("Folder", "f0")],
    })),
    ...make(USERS, user),
    ...make(DOCS, document),
  ];
}

function user(at: number): EntityJson {
  return {
    uid: uid("User", `u${at}`),
    attrs: { level: at % 7, suspended: at % 11 === 0 },
    parents: [uid("Group", `g${at % GROUPS}`)],
  };
}

function document(at: number): EntityJson {
  const attrs = { owner: { __entity: uid("User", `u${at % USERS}`) }, sensitivity: at % 5 };
  return { uid: uid("Doc", `d${at}`), attrs, parents: [uid("Folder", `f${at % FOLDERS}`)] };
}

function residentRequests(): (AuthorizationRequest & { principal: EntityUid; resource: EntityUid })[] {
  return Array.from({ length: 200 }, (_, at) => ({
    principal: uid("User", `u${at % USERS}`),
    action: uid("Action", at % 3 === 0 ? "edit" : "view"),
    resource: uid("Doc", `d${(at * 7) % DOCS}`),
    context: CONTEXT,
  }));
}

/** What a caller would send along for one request: the principal, its group, the resource, its folders. */
function requestEntities({ principal, resource }: { principal: EntityUid; resource: EntityUid }): EntityJson[] {
  const [userAt, docAt] = [principal, resource].map(({ id }) => Number(id.slice(1))) as [number, number];
  return [
    user(userAt),
    { uid: uid("Group", `g${userAt % GROUPS}`), attrs: {}, parents: [] },
    document(docAt),
    {
      uid: uid("Folder", `f${docAt % FOLDERS}`),
      attrs: {},
      parents: docAt % FOLDERS === 0 ? [] : [uid("Folder", "f0")],
    },
    { uid: uid("Folder", "f0"), attrs: {}, parents: [] },
  ].slice(0, docAt % FOLDERS === 0 ? 4 : 5);
}

const attribute = (of: string, attr: string): { ".": { left: { Var: string }; attr: string } } => ({
  ".": { left: { Var: of }, attr },
});
const inHours = { "<": { left: attribute("context", "hour"), right: { Value: 18 } } };
const isOwner = { "==": { left: attribute("resource", "owner"), right: { Var: "principal" } } };
const isCleared = { ">=": { left: attribute("principal", "level"), right: attribute("resource", "sensitivity") } };
const ANY = { op: "All" } as const;
const VIEW_OR_EDIT = { op: "in", entities: [uid("Action", "view"), uid("Action", "edit")] } as const;

/** Four policies that concern every request, and others for a group or a folder each; only the first few meet requests. */
function indexablePolicies(size: number): Record<string, PolicyJson> {
  const policies: Record<string, PolicyJson> = {
    owner: {
      effect: "permit",
      principal: ANY,
      action: ANY,
      resource: { op: "is", entity_type: "Doc" },
      conditions: [{ kind: "when", body: isOwner }],
    },
    suspended: {
      effect: "forbid",
      principal: { op: "is", entity_type: "User" },
      action: ANY,
      resource: ANY,
      conditions: [{ kind: "when", body: attribute("principal", "suspended") }],
    },
    night: {
      effect: "forbid",
      principal: ANY,
      action: { op: "in", entity: uid("Action", "all") },
      resource: ANY,
      conditions: [{ kind: "unless", body: inHours }],
    },
    mfa: {
      effect: "forbid",
      principal: ANY,
      action: { op: "==", entity: uid("Action", "edit") },
      resource: ANY,
      conditions: [{ kind: "unless", body: attribute("context", "mfa") }],
    },
  };
  for (let at = 0; at < size - 4; at++) {
    policies[`policy${at}`] = {
      effect: "permit",
      principal: at % 2 === 0 ? { op: "in", entity: uid("Group", `g${at}`) } : { op: "is", entity_type: "User" },
      action: VIEW_OR_EDIT,
      resource: at % 2 === 0 ? ANY : { op: "in", entity: uid("Folder", `f${at}`) },
      conditions: [{ kind: "when", body: { "&&": { left: isCleared, right: inHours } } }],
    };
  }
  return policies;
}

/** Policies whose scope says nothing: each is evaluated at every request. */
function unindexablePolicies(size: number): Record<string, PolicyJson> {
  return Object.fromEntries(
    Array.from({ length: size }, (_, at) => {
      const body = {
        "&&": { left: { "==": { left: attribute("principal", "level"), right: { Value: at } } }, right: isCleared },
      };
      return [
        `policy${at}`,
        { effect: "permit", principal: ANY, action: ANY, resource: ANY, conditions: [{ kind: "when", body }] },
      ];
    }),
  );
}

if (import.meta.main) {
  const results = await runEngineBench();
  console.log(process.argv.includes("--json") ? JSON.stringify(results, null, 2) : results);
}
