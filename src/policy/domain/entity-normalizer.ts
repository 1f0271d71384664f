import type { CedarJson, CedarJsonObject, EntityJson, EntityUid } from "../cedar/types.ts";
import { attributePath, ConformanceError, conform, conformRecord, findUidFault, readUid } from "./conformance.ts";
import { type ActionSchema, type CedarSchema, findAction } from "./schema.ts";

/** An entity with every part explicit. */
export type NormalizedEntity = {
  readonly uid: EntityUid;
  readonly attrs: CedarJsonObject;
  readonly parents: readonly EntityUid[];
  readonly tags?: CedarJsonObject;
};

/** An entity that the schema does not admit. */
export type EntityFault = {
  /** Its place in the list, from 0. */
  readonly index: number;
  /** `Type::"id"`, where it has one. */
  readonly uid?: string;
  /** Into the entity, as `attrs.device.os`. */
  readonly path: string;
  readonly reason: string;
};

/** What came of normalizing: the entities that conform, and the faults of those that do not. */
export type NormalizedEntities = {
  readonly entities: readonly NormalizedEntity[];
  readonly faults: readonly EntityFault[];
};

/**
 * Checks entities against the schema and makes them explicit: unknown types, undeclared or missing attributes, values
 * and parents of other types are faults. Without a schema only the outer form is checked.
 */
export function normalizeEntities(list: readonly EntityJson[], schema: CedarSchema | undefined): NormalizedEntities {
  const entities: NormalizedEntity[] = [];
  const faults: EntityFault[] = [];
  for (const [index, entity] of list.entries()) {
    try {
      entities.push(normalizeEntity(entity, schema));
    } catch (error) {
      if (!(error instanceof ConformanceError)) throw error;
      const uid = readUid((entity?.uid ?? null) as unknown as CedarJson);
      const fault = { index, path: error.path, reason: error.reason };
      faults.push(uid ? { ...fault, uid: `${uid.type}::${JSON.stringify(uid.id)}` } : fault);
    }
  }
  return { entities, faults };
}

const FIELDS: ReadonlySet<string> = new Set(["uid", "attrs", "parents", "tags"]);

/**
 * Checks one entity against the schema and makes it explicit.
 *
 * @throws ConformanceError naming the first place that does not conform
 */
export function normalizeEntity(entity: EntityJson, schema: CedarSchema | undefined): NormalizedEntity {
  if (!isObject(entity)) throw new ConformanceError("entity", "it is not an object");
  const unknown = Object.keys(entity).find((field) => !FIELDS.has(field));
  if (unknown !== undefined) throw new ConformanceError(attributePath("entity", unknown), "no field of an entity");
  const { attrs = {}, parents = [], tags } = entity;
  const uid = requireUid(entity.uid, "uid");
  if (!isObject(attrs)) throw new ConformanceError("attrs", "it is not an object");
  if (!Array.isArray(parents)) throw new ConformanceError("parents", "it is not a list");
  if (tags !== undefined && !isObject(tags)) throw new ConformanceError("tags", "it is not an object");
  const plain = { uid, attrs, parents: parents.map((parent, index) => requireUid(parent, `parents[${index}]`)) };
  const given: NormalizedEntity = tags ? { ...plain, tags } : plain;
  return schema ? conformEntity(given, schema) : given;
}

function conformEntity(entity: NormalizedEntity, schema: CedarSchema): NormalizedEntity {
  const { uid, attrs, parents, tags } = entity;
  const action = findAction(schema, uid);
  if (action) return conformAction(entity, action, schema);
  const fault = findUidFault(schema, uid);
  if (fault) throw new ConformanceError("uid", fault);
  const type = schema.entityTypes.get(uid.type)!;
  for (const [index, parent] of parents.entries()) {
    const path = `parents[${index}]`;
    if (!type.ancestors.has(parent.type))
      throw new ConformanceError(path, `a ${uid.type} cannot be in a ${parent.type}`);
    const parentFault = findUidFault(schema, parent);
    if (parentFault) throw new ConformanceError(path, parentFault);
  }
  const explicit = { uid, parents, attrs: conformRecord(schema, type.shape, attrs, "attrs") };
  if (tags === undefined) return explicit;
  return { ...explicit, tags: conformTags(uid.type, tags, schema) };
}

function conformTags(name: string, tags: CedarJsonObject, schema: CedarSchema): CedarJsonObject {
  const type = schema.entityTypes.get(name)!.tags;
  const entries = Object.entries(tags);
  if (type === undefined && entries.length > 0) throw new ConformanceError("tags", `a ${name} has no tags`);
  return Object.fromEntries(
    entries.map(([tag, value]) => [tag, conform(schema, type!, value, attributePath("tags", tag))]),
  );
}

/** An action may be listed, but says nothing else than the schema. */
function conformAction(entity: NormalizedEntity, action: ActionSchema, schema: CedarSchema): NormalizedEntity {
  const { attrs, parents, tags = {} } = entity;
  if (Object.keys(attrs).length > 0) throw new ConformanceError("attrs", "an action has no attributes");
  if (Object.keys(tags).length > 0) throw new ConformanceError("tags", "an action has no tags");
  const stray = parents.findIndex((parent) => !isInGroup(schema, action, parent));
  if (stray >= 0) throw new ConformanceError(`parents[${stray}]`, "the schema does not declare this action group");
  return { uid: action.uid, attrs: {}, parents: action.parents };
}

function isInGroup(schema: CedarSchema, action: ActionSchema, group: EntityUid): boolean {
  return action.parents.some((parent) => {
    if (parent.type === group.type && parent.id === group.id) return true;
    const declared = findAction(schema, parent);
    return declared !== undefined && isInGroup(schema, declared, group);
  });
}

/** The actions a schema declares, as entities with the groups they are in: what `action in …` is decided by. */
export function actionEntities(schema: CedarSchema): NormalizedEntity[] {
  return [...schema.actions.values()].flatMap((actions) =>
    [...actions.values()].map(({ uid, parents }) => ({ uid, attrs: {}, parents })),
  );
}

function requireUid(value: unknown, path: string): EntityUid {
  const uid = readUid((value ?? null) as CedarJson);
  if (uid === undefined) throw new ConformanceError(path, 'expected {"type": string, "id": string}');
  return uid;
}

function isObject(value: unknown): value is CedarJsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
