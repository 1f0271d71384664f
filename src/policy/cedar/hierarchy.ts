import type { EntityData, EntityLimits } from "./entity-json.ts";
import { type AncestorKeys, NO_ANCESTORS } from "./entity-node.ts";
import type { EntityRef } from "./entity-ref.ts";
import { EntityError, formatUid } from "./errors.ts";

/** An entity's place in the hierarchy. */
export interface Place {
  readonly ancestors: AncestorKeys;
  /** The length of its longest chain of parents. */
  readonly depth: number;
}

/** The bounds that closing checks. */
export type HierarchyLimits = Pick<EntityLimits, "maxAncestors" | "maxDepth">;

const ROOT: Place = { ancestors: NO_ANCESTORS, depth: 0 };

/**
 * Closes the parent relation of the `open` entities: the result maps each key to its place.
 *
 * `closed` answers for parents outside `open`, whose place is known already; `undefined` stands for an entity without
 * data, which has no parents. Iterative, so that no chain exhausts the stack. Entities with the same single parent share
 * one set of ancestors. Throws {@link EntityError} on a cycle, and beyond a limit.
 */
export function closeAncestors(
  open: ReadonlyMap<string, EntityData>,
  closed: (ref: EntityRef) => Place | undefined,
  limits: HierarchyLimits,
): Map<string, Place> {
  const places = new Map<string, Place>();
  const lineages = new Map<string, AncestorKeys>();
  const onPath = new Set<string>();
  const path: { readonly data: EntityData; next: number }[] = [];

  function enter(data: EntityData): void {
    if (onPath.has(data.ref.key)) throw new EntityError(formatUid(data.ref), "is its own ancestor");
    onPath.add(data.ref.key);
    path.push({ data, next: 0 });
  }

  function placeOf(ref: EntityRef): Place {
    return places.get(ref.key) ?? closed(ref) ?? ROOT;
  }

  /** An entity and its ancestors, as one set. */
  function lineageOf(ref: EntityRef): AncestorKeys {
    let lineage = lineages.get(ref.key);
    if (lineage === undefined) {
      lineage = new Set(placeOf(ref).ancestors).add(ref.key);
      lineages.set(ref.key, lineage);
    }
    return lineage;
  }

  function close({ ref, parents }: EntityData): Place {
    const depth = parents.reduce((deepest, parent) => Math.max(deepest, placeOf(parent).depth + 1), 0);
    const [first, second] = parents;
    if (first === undefined) return ROOT;
    const ancestors = second === undefined ? lineageOf(first) : new Set(parents.flatMap((p) => [...lineageOf(p)]));
    const fail = (reason: string): never => {
      throw new EntityError(formatUid(ref), reason);
    };
    if (ancestors.has(ref.key)) fail("is its own ancestor");
    if (ancestors.size > limits.maxAncestors) fail(`more than ${limits.maxAncestors} ancestors`);
    if (depth > limits.maxDepth) fail(`more than ${limits.maxDepth} levels of parents`);
    return { ancestors, depth };
  }

  for (const data of open.values()) {
    if (places.has(data.ref.key)) continue;
    enter(data);
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const parent = top.data.parents[top.next];
      if (parent === undefined) {
        places.set(top.data.ref.key, close(top.data));
        onPath.delete(top.data.ref.key);
        path.pop();
        continue;
      }
      top.next += 1;
      const unclosed = places.has(parent.key) ? undefined : open.get(parent.key);
      if (unclosed !== undefined) enter(unclosed);
    }
  }
  return places;
}
