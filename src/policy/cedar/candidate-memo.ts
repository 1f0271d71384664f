import type { EntityView } from "./entity-node.ts";
import type { EntityRef } from "./entity-ref.ts";
import type { Candidate, PolicyIndex } from "./policy-index.ts";
import type { ScopeVariable } from "./scope.ts";

/** The candidates of one action: those of any principal and resource, and those of the ones asked for so far. */
export interface ActionCandidates {
  readonly general: readonly Candidate[];
  readonly principal: Map<EntityRef, readonly Candidate[]>;
  readonly resource: Map<EntityRef, readonly Candidate[]>;
}

/** Most remembered lists plus their entries; beyond it everything is forgotten. About 16 bytes each. */
const BUDGET = 250_000;

const NONE: readonly Candidate[] = [];

/**
 * Remembers which policies are candidates for the resident entities of one policy set and one snapshot. It remembers no
 * decision, and nothing of an entity that a request brings along.
 */
export interface CandidateMemo {
  /** The candidates for a resident action. */
  forAction(action: EntityRef): ActionCandidates;
  /** The candidates filed under keys that a resident principal or resource fulfils. */
  forEntity(
    variable: ScopeVariable,
    entity: EntityRef,
    action: EntityRef,
    memo: ActionCandidates,
  ): readonly Candidate[];
}

/** Creates an empty memo. */
export function createCandidateMemo(index: PolicyIndex, view: EntityView): CandidateMemo {
  const byAction = new Map<EntityRef, ActionCandidates>();
  let used = 0;

  function remember(found: Candidate[]): readonly Candidate[] {
    used += 1 + found.length;
    if (used > BUDGET) {
      byAction.clear();
      used = 0;
    }
    return found.length === 0 ? NONE : found;
  }

  return {
    forAction(action) {
      let candidates = byAction.get(action);
      if (candidates === undefined) {
        const found: Candidate[] = [];
        index.general(action, view, found);
        candidates = { general: remember(found), principal: new Map(), resource: new Map() };
        byAction.set(action, candidates);
      }
      return candidates;
    },
    forEntity(variable, entity, action, memo) {
      let candidates = memo[variable].get(entity);
      if (candidates === undefined) {
        const found: Candidate[] = [];
        index.keyed(variable, entity, action, view, found);
        candidates = remember(found);
        memo[variable].set(entity, candidates);
      }
      return candidates;
    },
  };
}
