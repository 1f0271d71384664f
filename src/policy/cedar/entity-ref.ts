import type { EntityNode } from "./entity-node.ts";

/**
 * A reference to an entity: a Cedar value, and the handle by which a request names its principal, action and resource.
 *
 * A reference caches the node it stands for in one snapshot of the entities, told by the snapshot's epoch. The cache only
 * saves a lookup: a reference is right in every snapshot, and none of the engine's tables holds one that a request made.
 */
export class EntityRef {
  readonly type: string;
  readonly id: string;
  /** True for references owned by a snapshot or a policy set: a bounded number, so caches may be keyed by them. */
  readonly resident: boolean;
  /** The snapshot that `node` belongs to; 0 is none. */
  epoch = 0;
  node: EntityNode | undefined = undefined;
  #key = "";

  constructor(type: string, id: string, resident: boolean) {
    this.type = type;
    this.id = id;
    this.resident = resident;
  }

  /** A string equal for equal uids and different otherwise. A type name holds no quote, so the first one ends it. */
  get key(): string {
    if (this.#key === "") this.#key = entityKey(this.type, this.id);
    return this.#key;
  }
}

/** The key of an entity uid, see {@link EntityRef.key}. */
export function entityKey(type: string, id: string): string {
  return `${type}"${id}`;
}

/** Whether two references name the same entity. */
export function sameEntity(left: EntityRef, right: EntityRef): boolean {
  return left === right || (left.id === right.id && left.type === right.type);
}

const TYPE_NAME = /^[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z_][A-Za-z0-9_]*)*$/;
const MAX_TYPE_NAME = 1_024;

/** Whether `type` is a Cedar entity type name: identifiers joined by `::`, at most 1,024 characters. */
export function isTypeName(type: string): boolean {
  return type.length <= MAX_TYPE_NAME && TYPE_NAME.test(type);
}
