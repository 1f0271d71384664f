import { asBool, conjunction, type Env, type Run, test } from "./code.ts";
import type { CompiledPolicy } from "./compile-policy.ts";
import type { EntityView } from "./entity-node.ts";
import type { EntityRef } from "./entity-ref.ts";
import { type EntityScope, entityScopeTest, type ScopeVariable } from "./scope.ts";

/**
 * The policies by scope, so that a decision looks only at those that can apply.
 *
 * A policy is filed under each action of its scope, and there under one key: what its scope asks of the principal or of
 * the resource, whichever key is the rarer in the set; or under none when it asks nothing of either.
 *
 * INVARIANT: a lookup finds a policy if its action scope holds and its key's part of the scope holds, and no other; what
 * the lookup does not establish, the candidate's `applies` checks. So a candidate is exactly a policy to evaluate.
 */
export interface PolicyIndex {
  /** Adds to `found` the candidates filed under no key of principal or resource, for an action. */
  general(action: EntityRef, view: EntityView, found: Candidate[]): void;
  /** Adds to `found` the candidates filed under a key that the entity fulfils as principal or resource. */
  keyed(variable: ScopeVariable, entity: EntityRef, action: EntityRef, view: EntityView, found: Candidate[]): void;
}

/** A policy found by the index. */
export interface Candidate {
  readonly policy: CompiledPolicy;
  /** The rest of the scope, then the conditions. Throws `EvaluationFailure`. */
  readonly applies: Run<boolean>;
}

/** The candidates of one action (or of any action) by key. */
interface Shelf {
  readonly general: Candidate[];
  readonly principal: Keys;
  readonly resource: Keys;
}

interface Keys {
  readonly equal: Map<string, Candidate[]>;
  readonly within: Map<string, Candidate[]>;
  readonly type: Map<string, Candidate[]>;
}

/** Builds the index of a policy set. */
export function createPolicyIndex(policies: readonly CompiledPolicy[]): PolicyIndex {
  const popularity = countKeys(policies);
  const anyAction = createShelf();
  const equalAction = new Map<string, Shelf>();
  const withinAction = new Map<string, Shelf>();

  for (const policy of policies) {
    const variable = rarerVariable(policy, popularity);
    const candidate: Candidate = { policy, applies: restOf(policy, variable) };
    for (const shelf of shelvesOf(policy)) {
      file(shelf, variable, variable === undefined ? { op: "any" } : policy[variable], candidate);
    }
  }

  function* shelvesOf({ action }: CompiledPolicy): Iterable<Shelf> {
    if (action.op === "any") yield anyAction;
    else if (action.op === "equal") yield entry(equalAction, action.target.key, createShelf);
    else for (const key of new Set(action.targets.map((ref) => ref.key))) yield entry(withinAction, key, createShelf);
  }

  /** Calls back with each shelf an action's policies are on; those of `action in [...]` may be on several. */
  function visit(action: EntityRef, view: EntityView, found: Candidate[], collect: (shelf: Shelf) => void): void {
    collect(anyAction);
    const own = equalAction.get(action.key);
    if (own !== undefined) collect(own);
    if (withinAction.size === 0) return;
    const start = found.length;
    let shelves = 0;
    const self = withinAction.get(action.key);
    if (self !== undefined) {
      collect(self);
      shelves += 1;
    }
    for (const key of view.ancestors(action)) {
      const shelf = withinAction.get(key);
      if (shelf === undefined) continue;
      collect(shelf);
      shelves += 1;
    }
    if (shelves > 1) removeDuplicates(found, start);
  }

  return {
    general(action, view, found) {
      visit(action, view, found, (shelf) => {
        for (const candidate of shelf.general) found.push(candidate);
      });
    },
    keyed(variable, entity, action, view, found) {
      visit(action, view, found, (shelf) => collectKeyed(shelf[variable], entity, view, found));
    },
  };
}

function collectKeyed({ equal, within, type }: Keys, entity: EntityRef, view: EntityView, found: Candidate[]): void {
  if (equal.size > 0) append(found, equal.get(entity.key));
  if (within.size > 0) {
    append(found, within.get(entity.key));
    for (const key of view.ancestors(entity)) append(found, within.get(key));
  }
  if (type.size > 0) append(found, type.get(entity.type));
}

function append(found: Candidate[], more: readonly Candidate[] | undefined): void {
  if (more !== undefined) for (const candidate of more) found.push(candidate);
}

function removeDuplicates(found: Candidate[], start: number): void {
  const seen = new Set<Candidate>();
  let kept = start;
  for (let at = start; at < found.length; at++) {
    const candidate = found[at] as Candidate;
    if (seen.has(candidate)) continue;
    seen.add(candidate);
    found[kept] = candidate;
    kept += 1;
  }
  found.length = kept;
}

/** The key a scope would be filed under, unique among all keys of its variable; `undefined` when it asks nothing. */
function keyOf(scope: EntityScope): string | undefined {
  if (scope.op === "any") return undefined;
  return scope.op === "type" ? scope.type : `${scope.op} ${scope.target.key}`;
}

type Popularity = Record<ScopeVariable, Map<string, number>>;

function countKeys(policies: readonly CompiledPolicy[]): Popularity {
  const popularity: Popularity = { principal: new Map(), resource: new Map() };
  for (const policy of policies) {
    for (const variable of ["principal", "resource"] as const) {
      const key = keyOf(policy[variable]);
      if (key !== undefined) popularity[variable].set(key, (popularity[variable].get(key) ?? 0) + 1);
    }
  }
  return popularity;
}

function rarerVariable(policy: CompiledPolicy, popularity: Popularity): ScopeVariable | undefined {
  const countOf = (variable: ScopeVariable): number => {
    const key = keyOf(policy[variable]);
    return key === undefined ? Number.POSITIVE_INFINITY : (popularity[variable].get(key) ?? 0);
  };
  const principal = countOf("principal");
  const resource = countOf("resource");
  if (principal === Number.POSITIVE_INFINITY && resource === Number.POSITIVE_INFINITY) return undefined;
  return principal <= resource ? "principal" : "resource";
}

/** What remains to be checked of a policy filed under a variable's key. */
function restOf(policy: CompiledPolicy, variable: ScopeVariable | undefined): Run<boolean> {
  const tests: Run<boolean>[] = [];
  for (const name of ["principal", "resource"] as const) {
    const scope = policy[name];
    const isType = scope.op === "within" && scope.type !== undefined;
    const rest: EntityScope = name !== variable ? scope : isType ? { op: "type", type: scope.type } : { op: "any" };
    const run = entityScopeTest(name, rest);
    if (run !== undefined) tests.push(run);
  }
  if (!policy.unconditional) tests.push(policy.condition);
  return asBool(conjunction(tests.map((run: (env: Env) => boolean) => test(run))));
}

function createShelf(): Shelf {
  const keys = (): Keys => ({ equal: new Map(), within: new Map(), type: new Map() });
  return { general: [], principal: keys(), resource: keys() };
}

function file(shelf: Shelf, variable: ScopeVariable | undefined, scope: EntityScope, candidate: Candidate): void {
  if (variable === undefined || scope.op === "any") shelf.general.push(candidate);
  else if (scope.op === "type") entry(shelf[variable].type, scope.type, newList).push(candidate);
  else entry(shelf[variable][scope.op], scope.target.key, newList).push(candidate);
}

function newList(): Candidate[] {
  return [];
}

function entry<T>(map: Map<string, T>, key: string, create: () => T): T {
  let value = map.get(key);
  if (value === undefined) {
    value = create();
    map.set(key, value);
  }
  return value;
}
