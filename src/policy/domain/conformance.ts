/**
 * Checks values against the types a schema declares and writes out what JSON leaves implicit: where an entity is
 * declared, `{type, id}` is a reference; where an extension type is, a string is its constructor's argument.
 *
 * @see https://docs.cedarpolicy.com/auth/entities-syntax.html
 */

import type { CedarJson, EntityUid } from "../cedar/types.ts";
import type { CedarSchema, CedarType, RecordType } from "./schema.ts";

/** A value that its declared type does not admit. The path is into the entity or context, as `context.device.os`. */
export class ConformanceError extends Error {
  readonly path: string;
  readonly reason: string;

  constructor(path: string, reason: string) {
    super(`${path}: ${reason}`);
    this.name = "ConformanceError";
    this.path = path;
    this.reason = reason;
  }
}

type JsonObject = { readonly [key: string]: CedarJson };

const CONSTRUCTORS: { readonly [extension: string]: string } = {
  ipaddr: "ip",
  decimal: "decimal",
  datetime: "datetime",
  duration: "duration",
};

/** Extension functions that make a value of an extension type from others. */
const RESULTS: { readonly [fn: string]: string } = {
  ip: "ipaddr",
  decimal: "decimal",
  datetime: "datetime",
  duration: "duration",
  offset: "datetime",
  durationSince: "duration",
  toDate: "datetime",
  toTime: "duration",
};

const LONG_MIN = -(2n ** 63n);
const LONG_MAX = 2n ** 63n - 1n;

/** Values nested deeper are refused before the stack is at risk; the engine's own bound is lower. */
const MAX_DEPTH = 100;

/**
 * Checks a value and makes it explicit. What is explicit already is returned as it is, not copied.
 *
 * @throws ConformanceError naming the first place that does not conform
 */
export function conform(schema: CedarSchema, type: CedarType, value: CedarJson, path: string, depth = 0): CedarJson {
  if (depth > MAX_DEPTH) throw new ConformanceError(path, `nested more than ${MAX_DEPTH} levels deep`);
  switch (type.kind) {
    case "boolean":
    case "string":
      if (typeof value !== type.kind) throw mismatch(path, `a ${type.kind}`, value);
      return value;
    case "long":
      return conformLong(value, path);
    case "set":
      return conformSet(schema, type.element, value, path, depth);
    case "record":
      if (!isObject(value)) throw mismatch(path, "a record", value);
      return conformRecord(schema, type, value, path, depth);
    case "entity":
      return conformReference(schema, type.name, value, path);
    case "extension":
      return conformExtension(type.name, value, path);
  }
}

/**
 * Checks a record: every required attribute is there and none that is not declared.
 *
 * @throws ConformanceError naming the first place that does not conform
 */
export function conformRecord(
  schema: CedarSchema,
  { attributes }: RecordType,
  value: JsonObject,
  path: string,
  depth = 0,
): JsonObject {
  let changed: [string, CedarJson][] | undefined;
  const names = Object.keys(value);
  for (const [index, name] of names.entries()) {
    const attribute = attributes.get(name);
    if (attribute === undefined)
      throw new ConformanceError(attributePath(path, name), "the schema does not declare it");
    const given = value[name]!;
    const explicit = conform(schema, attribute.type, given, attributePath(path, name), depth + 1);
    if (explicit !== given) changed ??= names.slice(0, index).map((earlier) => [earlier, value[earlier]!]);
    changed?.push([name, explicit]);
  }
  for (const [name, { required }] of attributes) {
    if (required && !Object.hasOwn(value, name))
      throw new ConformanceError(attributePath(path, name), "it is required");
  }
  return changed ? Object.fromEntries(changed) : value;
}

/** Why an entity uid may not be: its type is not declared, or its type is enumerated and does not list it. */
export function findUidFault(schema: CedarSchema, uid: EntityUid): string | undefined {
  const declared = schema.entityTypes.get(uid.type);
  if (declared === undefined) {
    if (schema.actions.get(uid.type)?.has(uid.id)) return undefined;
    return `unknown entity type ${uid.type}`;
  }
  if (declared.ids && !declared.ids.has(uid.id)) {
    return `${uid.type} is enumerated and has no id ${JSON.stringify(uid.id)}`;
  }
  return undefined;
}

/** Reads an entity uid, plain or escaped; undefined when it is neither. */
export function readUid(value: CedarJson): EntityUid | undefined {
  if (!isObject(value)) return undefined;
  const uid = Object.hasOwn(value, "__entity") && Object.keys(value).length === 1 ? value.__entity! : value;
  if (!isObject(uid) || Object.keys(uid).length !== 2) return undefined;
  const { type, id } = uid;
  return typeof type === "string" && typeof id === "string" ? { type, id } : undefined;
}

function conformLong(value: CedarJson, path: string): CedarJson {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  if (typeof value === "bigint" && value >= LONG_MIN && value <= LONG_MAX) return value;
  const number = typeof value === "number" || typeof value === "bigint";
  throw number ? new ConformanceError(path, "not an exact 64-bit integer") : mismatch(path, "a long", value);
}

function conformSet(schema: CedarSchema, element: CedarType, value: CedarJson, path: string, depth: number): CedarJson {
  if (!isArray(value)) throw mismatch(path, "a set", value);
  let changed: CedarJson[] | undefined;
  for (const [index, given] of value.entries()) {
    const explicit = conform(schema, element, given, `${path}[${index}]`, depth + 1);
    if (explicit !== given) changed ??= value.slice(0, index);
    changed?.push(explicit);
  }
  return changed ?? value;
}

function conformReference(schema: CedarSchema, type: string, value: CedarJson, path: string): CedarJson {
  const uid = readUid(value);
  if (uid === undefined) throw mismatch(path, `a reference to a ${type}`, value);
  if (uid.type !== type)
    throw new ConformanceError(path, `expected a reference to a ${type}, found one to a ${uid.type}`);
  const fault = findUidFault(schema, uid);
  if (fault) throw new ConformanceError(path, fault);
  return isObject(value) && Object.hasOwn(value, "__entity") ? value : { __entity: { type: uid.type, id: uid.id } };
}

function conformExtension(extension: string, value: CedarJson, path: string): CedarJson {
  const fn = CONSTRUCTORS[extension] ?? extension;
  if (typeof value === "string") return { __extn: { fn, arg: value } };
  if (!isObject(value)) throw mismatch(path, `a value of the extension type ${extension}`, value);
  const escaped = Object.hasOwn(value, "__extn") && Object.keys(value).length === 1;
  const call = escaped ? value.__extn! : value;
  if (!isObject(call) || typeof call.fn !== "string")
    throw mismatch(path, `a value of the extension type ${extension}`, value);
  if (RESULTS[call.fn] !== extension) throw new ConformanceError(path, `${call.fn} makes no ${extension}`);
  return escaped ? value : { __extn: call };
}

function mismatch(path: string, expected: string, value: CedarJson): ConformanceError {
  return new ConformanceError(path, `expected ${expected}, found ${describe(value)}`);
}

function describe(value: CedarJson): string {
  if (value === null) return "null";
  if (isArray(value)) return "a set";
  if (typeof value === "object") {
    if (Object.hasOwn(value, "__entity")) return "an entity reference";
    return Object.hasOwn(value, "__extn") ? "an extension value" : "a record";
  }
  return typeof value === "number" || typeof value === "bigint" ? "a long" : `a ${typeof value}`;
}

/** Appends an attribute to a path. */
export function attributePath(path: string, name: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(name)
    ? `${path}.${name}`
    : `${path}[${JSON.stringify(name.slice(0, 64))}]`;
}

function isArray(value: CedarJson): value is readonly CedarJson[] {
  return Array.isArray(value);
}

function isObject(value: CedarJson): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
