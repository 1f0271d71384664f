import { createEntityReader, type EntityData, type EntityLimits } from "./entity-json.ts";
import { type AncestorKeys, type EntityNode, type EntityView, NO_ANCESTORS, nextEpoch } from "./entity-node.ts";
import { EntityRef } from "./entity-ref.ts";
import type { EntityStore } from "./entity-store.ts";
import { EntityError, formatUid } from "./errors.ts";
import { closeAncestors } from "./hierarchy.ts";
import type { EntityJson } from "./types.ts";

/** A request's own entities over a snapshot: one of them hides the snapshot's entity of the same uid. */
export interface EntityOverlay extends EntityView {
  /** Whether the entity is the request's own. */
  has(ref: EntityRef): boolean;
  /** Whether it changes the ancestors of some of the snapshot's entities. */
  readonly movesResidents: boolean;
}

/** Most entities of an overlay unless the caller says otherwise. */
const MAX_OVERLAY_ENTITIES = 10_000;

/**
 * Creates an overlay. It lives as long as its request and leaves nothing behind in the snapshot.
 *
 * Decisions are those of a snapshot made of both: ancestors cross between them in both directions. Throws
 * {@link EntityError} like the making of a snapshot; a uid given twice is an error.
 */
export function createOverlay(
  base: EntityStore,
  entities: readonly EntityJson[],
  limits: Partial<EntityLimits> = {},
): EntityOverlay {
  const bounds: EntityLimits = { ...base.limits, maxEntities: MAX_OVERLAY_ENTITIES, ...limits };
  if (entities.length > bounds.maxEntities) {
    throw new EntityError(undefined, `more than ${bounds.maxEntities} request-scoped entities`);
  }
  const read = createEntityReader(bounds, (type, id) => base.find(type, id)?.ref ?? new EntityRef(type, id, false));
  const own = new Map<string, EntityData>();
  for (const json of entities) {
    const data = read(json);
    if (own.has(data.ref.key)) throw new EntityError(formatUid(data.ref), "given twice");
    own.set(data.ref.key, data);
  }
  return new Overlay(base, own, bounds);
}

class Overlay implements EntityOverlay {
  readonly epoch: number = nextEpoch();
  readonly movesResidents: boolean;
  readonly #base: EntityStore;
  readonly #own: ReadonlyMap<string, EntityNode>;
  readonly #limits: EntityLimits;
  /** Ancestors of the snapshot's entities as seen through this overlay, where it changes any. */
  readonly #walked = new Map<string, AncestorKeys>();

  constructor(base: EntityStore, own: ReadonlyMap<string, EntityData>, limits: EntityLimits) {
    this.#base = base;
    this.#limits = limits;
    this.movesResidents = [...own].some(([key, data]) => base.isParent(key) && !sameParents(base.node(data.ref), data));
    const nodes = new Map<string, EntityNode>();
    this.#own = nodes;
    if (this.movesResidents) {
      for (const [key, data] of own) nodes.set(key, { ...data, ancestors: NO_ANCESTORS, depth: 0 });
      for (const [key, data] of own) nodes.set(key, { ...data, ancestors: this.#walk(data.ref), depth: 0 });
      return;
    }
    const places = closeAncestors(own, (ref) => base.node(ref), limits);
    for (const [key, data] of own) {
      const place = places.get(key);
      if (place !== undefined) nodes.set(key, { ...data, ...place });
    }
  }

  has(ref: EntityRef): boolean {
    return this.#own.has(ref.key);
  }

  node(ref: EntityRef): EntityNode | undefined {
    return this.#own.get(ref.key) ?? this.#base.node(ref);
  }

  ancestors(ref: EntityRef): AncestorKeys {
    const own = this.#own.get(ref.key);
    if (own !== undefined) return own.ancestors;
    if (!this.movesResidents) return this.#base.ancestors(ref);
    let ancestors = this.#walked.get(ref.key);
    if (ancestors === undefined) {
      ancestors = this.#walk(ref);
      this.#walked.set(ref.key, ancestors);
    }
    return ancestors;
  }

  /** Collects ancestors parent by parent, through the overlay. */
  #walk(start: EntityRef): AncestorKeys {
    const ancestors = new Set<string>();
    const queue: EntityRef[] = [start];
    for (let ref = queue.pop(); ref !== undefined; ref = queue.pop()) {
      for (const parent of this.node(ref)?.parents ?? []) {
        if (ancestors.has(parent.key)) continue;
        ancestors.add(parent.key);
        queue.push(parent);
      }
      if (ancestors.size > this.#limits.maxAncestors) {
        throw new EntityError(formatUid(start), `more than ${this.#limits.maxAncestors} ancestors`);
      }
    }
    if (ancestors.has(start.key)) throw new EntityError(formatUid(start), "is its own ancestor");
    return ancestors;
  }
}

function sameParents(before: EntityNode | undefined, after: EntityData): boolean {
  const was = new Set(before?.parents.map((ref) => ref.key));
  const is = new Set(after.parents.map((ref) => ref.key));
  return was.size === is.size && [...was].every((key) => is.has(key));
}
