import {
  createEntityReader,
  DEFAULT_ENTITY_LIMITS,
  type EntityData,
  type EntityLimits,
  entityToJson,
  readUid,
} from "./entity-json.ts";
import { type AncestorKeys, type EntityNode, type EntityView, NO_ANCESTORS, nextEpoch } from "./entity-node.ts";
import { createOverlay, type EntityOverlay } from "./entity-overlay.ts";
import { EntityRef } from "./entity-ref.ts";
import { EntityError, formatUid } from "./errors.ts";
import { closeAncestors } from "./hierarchy.ts";
import type { EntityJson, EntityUid, EntityUidJson } from "./types.ts";

/** An immutable snapshot of entities, their ancestors closed. Iterates over its entities as JSON. */
export interface EntityStore extends EntityView, Iterable<EntityJson> {
  readonly size: number;
  readonly limits: EntityLimits;
  /** The entity as JSON, or `undefined`. Throws {@link EntityError} when the uid is malformed. */
  get(uid: EntityUidJson): EntityJson | undefined;
  /** The entity's data, or `undefined`. */
  find(type: string, id: string): EntityNode | undefined;
  /** Whether some entity names the one of this key as its parent. */
  isParent(key: string): boolean;
  /**
   * The snapshot after one batch: `deletes` are removed (those absent are ignored), then `puts` are added or replace
   * entities of the same uid. All or nothing: on {@link EntityError} there is no new snapshot.
   *
   * Shares what did not change. Moving an entity that others name as parent re-closes the whole hierarchy.
   */
  with(puts: readonly EntityJson[], deletes?: readonly EntityUidJson[]): EntityStore;
  /** A request's own entities over this snapshot; see {@link createOverlay}. */
  overlay(entities: readonly EntityJson[], limits?: Partial<EntityLimits>): EntityOverlay;
}

/** Creates a snapshot. Throws {@link EntityError}; a uid given twice is an error. */
export function createEntityStore(entities: readonly EntityJson[], limits: Partial<EntityLimits> = {}): EntityStore {
  const empty = new Snapshot(new Map(), new Map(), 0, { ...DEFAULT_ENTITY_LIMITS, ...limits });
  return entities.length === 0 ? empty : empty.with(entities);
}

type NodesByType = ReadonlyMap<string, ReadonlyMap<string, EntityNode>>;

class Snapshot implements EntityStore {
  readonly epoch: number = nextEpoch();
  readonly size: number;
  readonly limits: EntityLimits;
  readonly #nodes: NodesByType;
  /** How many entities name the one of a key as their parent. */
  readonly #children: ReadonlyMap<string, number>;

  constructor(nodes: NodesByType, children: ReadonlyMap<string, number>, size: number, limits: EntityLimits) {
    this.#nodes = nodes;
    this.#children = children;
    this.size = size;
    this.limits = limits;
  }

  find(type: string, id: string): EntityNode | undefined {
    return this.#nodes.get(type)?.get(id);
  }

  node(ref: EntityRef): EntityNode | undefined {
    if (ref.epoch !== this.epoch) {
      ref.node = this.find(ref.type, ref.id);
      ref.epoch = this.epoch;
    }
    return ref.node;
  }

  ancestors(ref: EntityRef): AncestorKeys {
    return this.node(ref)?.ancestors ?? NO_ANCESTORS;
  }

  isParent(key: string): boolean {
    return this.#children.has(key);
  }

  get(uid: EntityUidJson): EntityJson | undefined {
    const { type, id } = readUid(uid, this.limits.maxIdLength);
    const node = this.find(type, id);
    return node === undefined ? undefined : entityToJson(node);
  }

  *[Symbol.iterator](): Iterator<EntityJson> {
    for (const node of this.#all()) yield entityToJson(node);
  }

  overlay(entities: readonly EntityJson[], limits: Partial<EntityLimits> = {}): EntityOverlay {
    return createOverlay(this, entities, limits);
  }

  with(puts: readonly EntityJson[], deletes: readonly EntityUidJson[] = []): EntityStore {
    const batch = this.#readBatch(puts);
    const gone = deletes.map((uid) => readUid(uid, this.limits.maxIdLength));
    const nodes = new NodesDraft(this.#nodes, this.size);
    const children = new Map(this.#children);
    let moved = false;

    const replace = (before: EntityNode | undefined, after: EntityData | undefined, key: string): void => {
      const was = before?.parents ?? [];
      const is = after?.parents ?? [];
      if (was.length === is.length && was.every((parent, at) => parent.key === is[at]?.key)) return;
      moved ||= this.#children.has(key);
      for (const parent of new Set(was.map((ref) => ref.key))) count(children, parent, -1);
      for (const parent of new Set(is.map((ref) => ref.key))) count(children, parent, 1);
    };
    for (const uid of gone) {
      const before = nodes.delete(uid);
      if (before !== undefined) replace(before, undefined, before.ref.key);
    }
    for (const [key, data] of batch) {
      replace(nodes.get(data.ref), data, key);
      nodes.set({ ...data, ancestors: NO_ANCESTORS, depth: 0 });
    }
    if (nodes.size > this.limits.maxEntities) {
      throw new EntityError(undefined, `more than ${this.limits.maxEntities} entities`);
    }

    const open = moved ? new Map(Array.from(nodes.all(), (node) => [node.ref.key, node])) : batch;
    const places = closeAncestors(open, (ref) => nodes.get(ref), this.limits);
    for (const [key, data] of open) {
      const place = places.get(key);
      if (place !== undefined) nodes.set({ ...data, ...place });
    }
    return new Snapshot(nodes.finish(), children, nodes.size, this.limits);
  }

  #readBatch(puts: readonly EntityJson[]): Map<string, EntityData> {
    const made = new Map<string, EntityRef>();
    const read = createEntityReader(this.limits, (type, id) => {
      const known = this.find(type, id);
      if (known !== undefined) return known.ref;
      const ref = new EntityRef(type, id, true);
      const earlier = made.get(ref.key);
      if (earlier === undefined) made.set(ref.key, ref);
      return earlier ?? ref;
    });
    const batch = new Map<string, EntityData>();
    for (const json of puts) {
      const data = read(json);
      if (batch.has(data.ref.key)) throw new EntityError(formatUid(data.ref), "given twice");
      batch.set(data.ref.key, data);
      if (batch.size > this.limits.maxEntities)
        throw new EntityError(undefined, `more than ${this.limits.maxEntities} entities`);
    }
    return batch;
  }

  *#all(): Iterable<EntityNode> {
    for (const byId of this.#nodes.values()) yield* byId.values();
  }
}

function count(counts: Map<string, number>, key: string, change: number): void {
  const now = (counts.get(key) ?? 0) + change;
  if (now > 0) counts.set(key, now);
  else counts.delete(key);
}

/** A snapshot's nodes being changed: the map of a type is copied at its first change. */
class NodesDraft {
  size: number;
  readonly #base: NodesByType;
  readonly #byType: Map<string, ReadonlyMap<string, EntityNode>>;
  readonly #copies = new Map<string, Map<string, EntityNode>>();

  constructor(base: NodesByType, size: number) {
    this.#base = base;
    this.#byType = new Map(base);
    this.size = size;
  }

  get({ type, id }: EntityUid): EntityNode | undefined {
    return this.#byType.get(type)?.get(id);
  }

  set(node: EntityNode): void {
    const byId = this.#writable(node.ref.type);
    if (!byId.has(node.ref.id)) this.size += 1;
    byId.set(node.ref.id, node);
  }

  delete({ type, id }: EntityUid): EntityNode | undefined {
    const node = this.get({ type, id });
    if (node !== undefined) {
      this.#writable(type).delete(id);
      this.size -= 1;
    }
    return node;
  }

  *all(): Iterable<EntityNode> {
    for (const byId of this.#byType.values()) yield* byId.values();
  }

  finish(): NodesByType {
    for (const [type, byId] of this.#copies) if (byId.size === 0) this.#byType.delete(type);
    return this.#byType;
  }

  #writable(type: string): Map<string, EntityNode> {
    let copy = this.#copies.get(type);
    if (copy === undefined) {
      copy = new Map(this.#base.get(type));
      this.#copies.set(type, copy);
      this.#byType.set(type, copy);
    }
    return copy;
  }
}
