import type { EntityNode } from "./entity-node.ts";
import { type EntityRef, isTypeName } from "./entity-ref.ts";
import { EntityError, formatUid, quote, ValueError } from "./errors.ts";
import type { CedarJsonObject, EntityJson, EntityUid, EntityUidJson } from "./types.ts";
import type { Value } from "./value.ts";
import {
  createValueReader,
  DEFAULT_VALUE_LIMITS,
  fieldsToJson,
  isObject,
  type MakeRef,
  type ValueReader,
} from "./value-json.ts";

/** Bounds on a set of entities. */
export interface EntityLimits {
  /** Most entities. Default 1,000,000 resident, 10,000 in an overlay. */
  readonly maxEntities: number;
  /** Most attributes, and most tags, of an entity. Default 1,000. */
  readonly maxAttributes: number;
  /** Most direct parents of an entity. Default 1,000. */
  readonly maxParents: number;
  /** Most ancestors of an entity. Default 2,000. */
  readonly maxAncestors: number;
  /** Longest chain of parents. Default 128. */
  readonly maxDepth: number;
  /** Most elements of a set. Default 10,000. */
  readonly maxSetSize: number;
  /** Deepest nesting of an attribute's value. Default 32. */
  readonly maxValueDepth: number;
  /** Longest id in UTF-16 units. Default 65,536. */
  readonly maxIdLength: number;
}

export const DEFAULT_ENTITY_LIMITS: EntityLimits = {
  maxEntities: 1_000_000,
  maxAttributes: 1_000,
  maxParents: 1_000,
  maxAncestors: 2_000,
  maxDepth: 128,
  maxSetSize: 10_000,
  maxValueDepth: DEFAULT_VALUE_LIMITS.maxDepth,
  maxIdLength: 65_536,
};

/** An entity as read, its ancestors not yet known. */
export interface EntityData {
  readonly ref: EntityRef;
  readonly attrs: ReadonlyMap<string, Value>;
  readonly tags: ReadonlyMap<string, Value>;
  readonly parents: readonly EntityRef[];
}

/** Reads entity JSON; `makeRef` yields the reference of every uid met. Throws {@link EntityError}. */
export function createEntityReader(limits: EntityLimits, makeRef: MakeRef): (json: EntityJson) => EntityData {
  const values = createValueReader(makeRef, {
    maxDepth: limits.maxValueDepth,
    maxSetSize: limits.maxSetSize,
    maxRecordSize: limits.maxAttributes,
  });
  return (json) => {
    if (!isObject(json)) throw new EntityError(undefined, "an entity is not an object");
    const uid = readUid(json.uid, limits.maxIdLength);
    const parents = json.parents ?? [];
    if (!Array.isArray(parents)) throw new EntityError(formatUid(uid), "parents is not an array");
    if (parents.length > limits.maxParents) {
      throw new EntityError(formatUid(uid), `more than ${limits.maxParents} parents`);
    }
    return {
      ref: makeRef(uid.type, uid.id),
      attrs: readFields(values, json.attrs, uid, "attrs"),
      tags: readFields(values, json.tags, uid, "tags"),
      parents: parents.map((parent: EntityUidJson) => {
        const { type, id } = readUid(parent, limits.maxIdLength);
        return makeRef(type, id);
      }),
    };
  };
}

const NO_FIELDS: ReadonlyMap<string, Value> = new Map();

function readFields(values: ValueReader, json: unknown, uid: EntityUid, root: string): ReadonlyMap<string, Value> {
  if (json === undefined) return NO_FIELDS;
  try {
    const fields = values.fields(json as CedarJsonObject, root);
    return fields.size === 0 ? NO_FIELDS : fields;
  } catch (error) {
    throw error instanceof ValueError ? new EntityError(formatUid(uid), error.message) : error;
  }
}

/** Reads `{type, id}`, plain or in the `__entity` escape. Throws {@link EntityError}. */
export function readUid(json: unknown, maxIdLength: number = DEFAULT_ENTITY_LIMITS.maxIdLength): EntityUid {
  const uid = isObject(json) && Object.hasOwn(json, "__entity") ? json.__entity : json;
  if (!isObject(uid)) throw new EntityError(undefined, "an entity uid is not an object");
  const { type, id } = uid;
  if (typeof type !== "string" || typeof id !== "string") {
    throw new EntityError(undefined, "an entity uid's type and id are strings");
  }
  if (!isTypeName(type)) throw new EntityError(undefined, `${quote(type)} is not an entity type name`);
  if (id.length > maxIdLength) throw new EntityError(undefined, `an id longer than ${maxIdLength}`);
  if (!id.isWellFormed()) throw new EntityError(undefined, "an id holds a lone surrogate");
  return { type, id };
}

/** Writes an entity back as JSON. */
export function entityToJson(node: EntityNode): EntityJson {
  const uid = ({ type, id }: EntityRef): EntityUid => ({ type, id });
  return {
    uid: uid(node.ref),
    attrs: fieldsToJson(node.attrs),
    parents: node.parents.map(uid),
    ...(node.tags.size > 0 && { tags: fieldsToJson(node.tags) }),
  };
}
