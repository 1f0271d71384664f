import { type CandidateMemo, createCandidateMemo } from "./candidate-memo.ts";
import type { Env } from "./code.ts";
import { createDecision, type Decision, type Evaluation, toEvaluation } from "./decision.ts";
import { readUid } from "./entity-json.ts";
import type { EntityView } from "./entity-node.ts";
import type { EntityOverlay } from "./entity-overlay.ts";
import { EntityRef } from "./entity-ref.ts";
import type { EntityStore } from "./entity-store.ts";
import { EvaluationFailure } from "./errors.ts";
import type { Candidate } from "./policy-index.ts";
import type { CompiledPolicySet } from "./policy-set.ts";
import type { ScopeVariable } from "./scope.ts";
import type { CedarJsonObject, EntityJson, EntityUidJson } from "./types.ts";
import { CedarRecord } from "./value.ts";
import { createValueReader, DEFAULT_VALUE_LIMITS, type ValueLimits } from "./value-json.ts";

/** How an engine decides. */
export interface EngineOptions {
  /**
   * Whether a `forbid` that fails makes the answer DENY and indeterminate. Default true; false is Cedar's own rule, which
   * skips it like any policy that fails.
   */
  readonly strictForbid?: boolean;
  /** Bounds on a request's context. */
  readonly contextLimits?: Partial<ValueLimits>;
}

/** One authorization request. */
export interface AuthorizationRequest {
  readonly principal: EntityUidJson;
  readonly action: EntityUidJson;
  readonly resource: EntityUidJson;
  readonly context?: CedarJsonObject;
  /** The request's own entities, over the resident ones. */
  readonly entities?: readonly EntityJson[];
}

/** A principal, action or resource made ready for {@link Engine.decide}; valid for the engine that made it. */
export type ResolvedEntity = EntityRef;

/** A context made ready for {@link Engine.decide}. */
export type PreparedContext = CedarRecord;

/** One policy set over one snapshot of entities. Both are immutable; a change of either is a new engine. */
export interface Engine {
  /** Tells engines apart, without keeping one alive. */
  readonly id: number;
  readonly policySet: CompiledPolicySet;
  readonly entities: EntityStore;
  /** The same policies over other entities. */
  over(entities: EntityStore): Engine;
  /** Decides one request. Throws `EntityError` or `ValueError` when the request is malformed. */
  evaluate(request: AuthorizationRequest): Evaluation;
  /** Makes an entity uid ready. Throws `EntityError` when malformed. */
  resolve(uid: EntityUidJson): ResolvedEntity;
  /** Makes a context ready. Throws `ValueError`, which names the path of the fault. */
  prepareContext(json: CedarJsonObject): PreparedContext;
  /** Decides into `out`, over the resident entities alone. Never throws: whatever goes wrong is a DENY with an error. */
  decide(
    principal: ResolvedEntity,
    action: ResolvedEntity,
    resource: ResolvedEntity,
    context: PreparedContext,
    out: Decision,
  ): void;
  /** Runs `visit` for each policy that is a candidate for the request. Throws as {@link Engine.evaluate}. */
  forEachCandidate(request: AuthorizationRequest, visit: (candidate: Candidate, env: Env) => void): void;
}

const EMPTY_CONTEXT: PreparedContext = new CedarRecord(new Map());

/** Creates an engine. Cheap: policies are compiled and entities closed already. */
export function createEngine(parts: {
  readonly policySet: CompiledPolicySet;
  readonly entities: EntityStore;
  readonly options?: EngineOptions;
}): Engine {
  return new CedarEngine(parts.policySet, parts.entities, parts.options ?? {});
}

let engines = 0;

class CedarEngine implements Engine {
  readonly id: number;
  readonly policySet: CompiledPolicySet;
  readonly entities: EntityStore;
  readonly #options: EngineOptions;
  readonly #strictForbid: boolean;
  readonly #contextLimits: ValueLimits;
  readonly #memo: CandidateMemo;
  readonly #scratch: Candidate[] = [];
  readonly #env: Env;

  constructor(policySet: CompiledPolicySet, entities: EntityStore, options: EngineOptions) {
    engines += 1;
    this.id = engines;
    this.policySet = policySet;
    this.entities = entities;
    this.#options = options;
    this.#strictForbid = options.strictForbid ?? true;
    this.#contextLimits = { ...DEFAULT_VALUE_LIMITS, ...options.contextLimits };
    this.#memo = createCandidateMemo(policySet.index, entities);
    const nobody = new EntityRef("_", "", false);
    this.#env = { principal: nobody, action: nobody, resource: nobody, context: EMPTY_CONTEXT, view: entities };
  }

  over(entities: EntityStore): Engine {
    return new CedarEngine(this.policySet, entities, this.#options);
  }

  resolve(uid: EntityUidJson): ResolvedEntity {
    const { type, id } = readUid(uid, this.entities.limits.maxIdLength);
    return this.#ref(type, id);
  }

  prepareContext(json: CedarJsonObject): PreparedContext {
    if (isEmpty(json)) return EMPTY_CONTEXT;
    const reader = createValueReader((type, id) => this.#ref(type, id), this.#contextLimits);
    return new CedarRecord(reader.fields(json, "context"));
  }

  decide(
    principal: ResolvedEntity,
    action: ResolvedEntity,
    resource: ResolvedEntity,
    context: PreparedContext,
    out: Decision,
  ): void {
    const env = this.#enter(principal, action, resource, context, this.entities);
    begin(out);
    try {
      if (action.resident) {
        const memo = this.#memo.forAction(action);
        this.#evaluateAll(memo.general, env, out);
        this.#evaluateAll(this.#keyed("principal", principal, action, memo), env, out);
        this.#evaluateAll(this.#keyed("resource", resource, action, memo), env, out);
      } else {
        this.#evaluateAll(this.#search(env), env, out);
      }
    } catch (error) {
      fault(out, -1, error);
    }
    finish(out);
  }

  evaluate(request: AuthorizationRequest): Evaluation {
    const out = createDecision();
    const principal = this.resolve(request.principal);
    const action = this.resolve(request.action);
    const resource = this.resolve(request.resource);
    const context = request.context === undefined ? EMPTY_CONTEXT : this.prepareContext(request.context);
    if (request.entities === undefined || request.entities.length === 0) {
      this.decide(principal, action, resource, context, out);
    } else {
      this.#decideOver(this.entities.overlay(request.entities), principal, action, resource, context, out);
    }
    return toEvaluation(out, this.policySet.policyIds);
  }

  forEachCandidate(request: AuthorizationRequest, visit: (candidate: Candidate, env: Env) => void): void {
    const context = this.prepareContext(request.context ?? {});
    const view = request.entities === undefined ? this.entities : this.entities.overlay(request.entities);
    const env: Env = {
      principal: this.resolve(request.principal),
      action: this.resolve(request.action),
      resource: this.resolve(request.resource),
      context,
      view,
    };
    for (const candidate of [...this.#search(env)]) visit(candidate, env);
  }

  #decideOver(
    overlay: EntityOverlay,
    principal: EntityRef,
    action: EntityRef,
    resource: EntityRef,
    context: PreparedContext,
    out: Decision,
  ): void {
    const env = this.#enter(principal, action, resource, context, overlay);
    begin(out);
    try {
      this.#evaluateAll(this.#search(env), env, out);
    } catch (error) {
      fault(out, -1, error);
    }
    finish(out);
    // What belongs to the request goes with it.
    this.#enter(principal, action, resource, EMPTY_CONTEXT, this.entities);
  }

  #enter(principal: EntityRef, action: EntityRef, resource: EntityRef, context: CedarRecord, view: EntityView): Env {
    const env = this.#env;
    env.principal = principal;
    env.action = action;
    env.resource = resource;
    env.context = context;
    env.view = view;
    return env;
  }

  /** The one reference of a resident entity or of a policy's literal, else a new one that its request alone holds. */
  #ref(type: string, id: string): EntityRef {
    return this.entities.find(type, id)?.ref ?? this.policySet.literal(type, id) ?? new EntityRef(type, id, false);
  }

  #keyed(
    variable: ScopeVariable,
    entity: EntityRef,
    action: EntityRef,
    memo: ReturnType<CandidateMemo["forAction"]>,
  ): readonly Candidate[] {
    if (entity.resident) return this.#memo.forEntity(variable, entity, action, memo);
    this.#scratch.length = 0;
    this.policySet.index.keyed(variable, entity, action, this.entities, this.#scratch);
    return this.#scratch;
  }

  /** All candidates, without the memo. The array is reused by the next search. */
  #search(env: Env): readonly Candidate[] {
    const { index } = this.policySet;
    const found = this.#scratch;
    found.length = 0;
    index.general(env.action, env.view, found);
    index.keyed("principal", env.principal, env.action, env.view, found);
    index.keyed("resource", env.resource, env.action, env.view, found);
    return found;
  }

  #evaluateAll(candidates: readonly Candidate[], env: Env, out: Decision): void {
    for (let at = 0; at < candidates.length; at++) this.#evaluateOne(candidates[at] as Candidate, env, out);
  }

  #evaluateOne({ policy, applies }: Candidate, env: Env, out: Decision): void {
    try {
      if (!applies(env)) return;
      if (policy.effect === "permit") {
        if (!out.forbidden) out.determining.push(policy.index);
        return;
      }
      if (!out.forbidden) empty(out.determining);
      out.forbidden = true;
      out.determining.push(policy.index);
    } catch (error) {
      if (error instanceof EvaluationFailure) {
        out.errors.push({ policyIndex: policy.index, message: error.message });
        if (this.#strictForbid && policy.effect === "forbid") out.indeterminate = true;
      } else {
        fault(out, policy.index, error);
      }
    }
  }
}

function isEmpty(json: CedarJsonObject): boolean {
  for (const _name in json) return false;
  return true;
}

function begin(out: Decision): void {
  out.allow = false;
  out.forbidden = false;
  out.indeterminate = false;
  empty(out.determining);
  empty(out.errors);
}

/** Unlike `length = 0`, popping keeps a short array's memory for the next decision. */
function empty(array: unknown[]): void {
  if (array.length > 16) array.length = 0;
  while (array.length > 0) array.pop();
}

/** Anything but a Cedar error, such as an exhausted stack: nothing that was decided can be trusted to allow. */
function fault(out: Decision, policyIndex: number, error: unknown): void {
  const message = error instanceof RangeError ? "evaluation exhausted the stack" : "evaluation failed unexpectedly";
  out.errors.push({ policyIndex, message });
  out.indeterminate = true;
}

function finish(out: Decision): void {
  const { determining, errors } = out;
  if (out.indeterminate && !out.forbidden) empty(determining);
  // A satisfied forbid determines the answer, whatever failed beside it.
  if (out.forbidden) out.indeterminate = false;
  out.allow = !out.forbidden && !out.indeterminate && determining.length > 0;
  if (determining.length > 1) determining.sort(ascending);
  if (errors.length > 1) errors.sort((left, right) => left.policyIndex - right.policyIndex);
}

function ascending(left: number, right: number): number {
  return left - right;
}
