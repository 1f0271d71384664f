import { EntityRef, isTypeName } from "./entity-ref.ts";
import { EvaluationFailure, quote, ValueError } from "./errors.ts";
import { EXTENSION_FUNCTIONS } from "./extension-functions.ts";
import { ExtensionValue } from "./extension-value.ts";
import { fromBigInt } from "./long.ts";
import type { CedarJson, CedarJsonObject } from "./types.ts";
import { CedarRecord, CedarSet, type Value } from "./value.ts";

/** Bounds on one JSON value. */
export interface ValueLimits {
  /** Deepest nesting of arrays and objects. Default 32. */
  readonly maxDepth: number;
  /** Most elements of one set. Default 10,000. */
  readonly maxSetSize: number;
  /** Most fields of one record. Default 10,000. */
  readonly maxRecordSize: number;
}

export const DEFAULT_VALUE_LIMITS: ValueLimits = { maxDepth: 32, maxSetSize: 10_000, maxRecordSize: 10_000 };

/** Makes the reference of an entity uid met in a value. */
export type MakeRef = (type: string, id: string) => EntityRef;

/** Reads JSON values into Cedar values. Refuses what is not one; see {@link ValueError}. */
export interface ValueReader {
  /** Reads any value; `root` names it in errors. */
  value(json: CedarJson, root: string): Value;
  /** Reads an object's fields, without taking an escape (`__entity`, `__extn`) at its top for one. */
  fields(json: CedarJsonObject, root: string): Map<string, Value>;
}

/**
 * Creates a reader.
 *
 * An object with one of the escape keys must be exactly that escape. The official engine reads a malformed escape as a
 * plain record, which hides mistakes; here it is an error.
 */
export function createValueReader(makeRef: MakeRef, limits: ValueLimits = DEFAULT_VALUE_LIMITS): ValueReader {
  const path: (string | number)[] = [];

  function fail(reason: string): never {
    throw new ValueError(formatPath(path), reason);
  }

  function read(json: CedarJson): Value {
    switch (typeof json) {
      case "boolean":
        return json;
      case "string":
        return json.isWellFormed() ? json : fail("a string holds a lone surrogate");
      case "number":
        return Number.isSafeInteger(json) ? json + 0 : fail("a number is not an integer within ±(2^53 − 1)");
      case "bigint":
        return fromBigInt(json) ?? fail("an integer exceeds 64 bits");
      case "object":
        if (json === null) return fail("null is not a Cedar value");
        if (path.length > limits.maxDepth) return fail(`nested deeper than ${limits.maxDepth}`);
        return isArray(json) ? readSet(json) : readObject(json);
      default:
        return fail(`a ${typeof json} is not a Cedar value`);
    }
  }

  function readSet(json: readonly CedarJson[]): CedarSet {
    if (json.length > limits.maxSetSize) fail(`a set of more than ${limits.maxSetSize} elements`);
    const elements = new Array<Value>(json.length);
    for (let at = 0; at < json.length; at++) {
      path.push(at);
      elements[at] = read(json[at] as CedarJson);
      path.pop();
    }
    return new CedarSet(elements);
  }

  function readObject(json: CedarJsonObject): Value {
    if (Object.hasOwn(json, "__entity")) return readEntity(json);
    if (Object.hasOwn(json, "__extn")) return readExtension(json);
    if (Object.hasOwn(json, "__expr")) return fail("the __expr escape is not supported");
    return new CedarRecord(readFields(json));
  }

  function readFields(json: CedarJsonObject): Map<string, Value> {
    const names = Object.keys(json);
    if (names.length > limits.maxRecordSize) fail(`a record of more than ${limits.maxRecordSize} fields`);
    const fields = new Map<string, Value>();
    for (const name of names) {
      path.push(name);
      if (!name.isWellFormed()) fail("a name holds a lone surrogate");
      fields.set(name, read(json[name] as CedarJson));
      path.pop();
    }
    return fields;
  }

  function readEntity(json: CedarJsonObject): EntityRef {
    const uid = json.__entity;
    if (Object.keys(json).length !== 1 || !isObject(uid) || Object.keys(uid).length !== 2) {
      return fail('malformed __entity, expected {"type": string, "id": string}');
    }
    const { type, id } = uid;
    if (typeof type !== "string" || typeof id !== "string") return fail("malformed __entity: type and id are strings");
    if (!isTypeName(type)) return fail(`malformed __entity: ${quote(type)} is not an entity type name`);
    if (!id.isWellFormed()) return fail("malformed __entity: the id holds a lone surrogate");
    return makeRef(type, id);
  }

  function readExtension(json: CedarJsonObject): Value {
    const call = json.__extn;
    if (Object.keys(json).length !== 1 || !isObject(call) || Object.keys(call).length !== 2) {
      return fail('malformed __extn, expected {"fn": string, "arg": value}');
    }
    const { fn } = call;
    const args = Object.hasOwn(call, "args") ? call.args : Object.hasOwn(call, "arg") ? [call.arg] : undefined;
    if (typeof fn !== "string" || !Array.isArray(args))
      return fail('malformed __extn, expected {"fn": string, "arg": value}');
    const extension = EXTENSION_FUNCTIONS.get(fn);
    if (extension === undefined) return fail(`extension function ${quote(fn)} does not exist`);
    if (args.length !== extension.arity) return fail(`${fn} takes ${extension.arity} argument(s), not ${args.length}`);
    path.push("__extn");
    const values = args.map((arg) => read(arg as CedarJson));
    path.pop();
    try {
      return extension.call(values[0] as Value, values[1] as Value);
    } catch (error) {
      return fail(error instanceof EvaluationFailure ? error.message : "extension function failed");
    }
  }

  return {
    value(json, root) {
      path.length = 0;
      path.push(root);
      return read(json);
    },
    fields(json, root) {
      path.length = 0;
      path.push(root);
      if (!isObject(json)) return fail("expected an object");
      return readFields(json);
    },
  };
}

/** Writes a value back as JSON that {@link ValueReader} reads to an equal value. */
export function valueToJson(value: Value): CedarJson {
  if (typeof value !== "object") return value;
  if (value instanceof EntityRef) return { __entity: { type: value.type, id: value.id } };
  if (value instanceof CedarSet) return value.elements.map(valueToJson);
  if (value instanceof ExtensionValue) return value.toJson();
  return fieldsToJson(value.fields);
}

/** Writes a record's fields back as a JSON object. */
export function fieldsToJson(fields: ReadonlyMap<string, Value>): CedarJsonObject {
  return Object.fromEntries([...fields].map(([name, value]) => [name, valueToJson(value)]));
}

function isArray(json: CedarJson): json is readonly CedarJson[] {
  return Array.isArray(json);
}

/** Whether a JSON value is an object: not null, not an array. */
export function isObject(json: unknown): json is CedarJsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

const MAX_PATH = 256;

function formatPath(path: readonly (string | number)[]): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (text === "") text = step;
    else text += /^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(step) ? `.${step}` : `[${quote(step)}]`;
    if (text.length > MAX_PATH) return `${text.slice(0, MAX_PATH)}…`;
  }
  return text;
}
