import type { EntityRef } from "./entity-ref.ts";
import type { Value } from "./value.ts";

/** The keys of an entity's ancestors, see `EntityRef.key`. Shared between entities of the same single parent. */
export type AncestorKeys = ReadonlySet<string>;

/** An entity's data in a snapshot. Immutable; snapshots share the nodes that did not change. */
export interface EntityNode {
  readonly ref: EntityRef;
  readonly attrs: ReadonlyMap<string, Value>;
  readonly tags: ReadonlyMap<string, Value>;
  readonly parents: readonly EntityRef[];
  readonly ancestors: AncestorKeys;
  /** The length of the longest chain of parents. */
  readonly depth: number;
}

/** What evaluation sees of the entities: a snapshot, or a snapshot with a request's own entities over it. */
export interface EntityView {
  /** Tells the view's cached nodes from those of other views. */
  readonly epoch: number;
  /** The entity's data, or `undefined` when there is none. */
  node(ref: EntityRef): EntityNode | undefined;
  /** The ancestors of an entity, without itself; empty when it has no data. */
  ancestors(ref: EntityRef): AncestorKeys;
}

/** No ancestors. */
export const NO_ANCESTORS: AncestorKeys = new Set();

let lastEpoch = 0;

/** A number that no other view of this process has. */
export function nextEpoch(): number {
  lastEpoch += 1;
  return lastEpoch;
}
