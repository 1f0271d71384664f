import { EntityRef, sameEntity } from "./entity-ref.ts";
import { ExtensionValue } from "./extension-value.ts";
import type { Long } from "./long.ts";

/** A Cedar value. Booleans, Longs and strings are JavaScript's own; `===` is their equality. */
export type Value = boolean | Long | string | EntityRef | CedarSet | CedarRecord | ExtensionValue;

/** A Cedar record. */
export class CedarRecord {
  readonly fields: ReadonlyMap<string, Value>;
  #key: string | undefined;

  constructor(fields: ReadonlyMap<string, Value>) {
    this.fields = fields;
  }

  /** The canonical key: fields sorted by name. */
  get key(): string {
    if (this.#key === undefined) {
      const names = [...this.fields.keys()].sort();
      this.#key = `{${names.map((name) => `${JSON.stringify(name)}:${valueKey(this.fields.get(name) as Value)}`).join()}}`;
    }
    return this.#key;
  }
}

/** Sets up to this size are searched element by element; above it, an index is built at the first search. */
const LINEAR_SIZE = 8;

/** A Cedar set. Duplicates may be present in `elements` and count for nothing. */
export class CedarSet {
  readonly elements: readonly Value[];
  #index: SetIndex | undefined;
  #key: string | undefined;

  constructor(elements: readonly Value[]) {
    this.elements = elements;
  }

  /** Whether the set has an element equal to `value`; in time independent of the set's size once indexed. */
  has(value: Value): boolean {
    const { elements } = this;
    if (elements.length <= LINEAR_SIZE) {
      for (let at = 0; at < elements.length; at++) if (equal(elements[at] as Value, value)) return true;
      return false;
    }
    this.#index ??= indexElements(elements);
    return typeof value === "object" ? this.#index.keys.has(objectKey(value)) : this.#index.primitives.has(value);
  }

  /** Whether every element of `other` is in this set. */
  hasAll(other: CedarSet): boolean {
    return other.elements.every((element) => this.has(element));
  }

  /** Whether some element of `other` is in this set. */
  hasAny(other: CedarSet): boolean {
    return other.elements.some((element) => this.has(element));
  }

  /** The canonical key: distinct element keys, sorted. */
  get key(): string {
    this.#key ??= `[${[...new Set(this.elements.map(valueKey))].sort().join()}]`;
    return this.#key;
  }
}

/** Cedar's `==`: values of different types are unequal, never an error. */
export function equal(left: Value, right: Value): boolean {
  if (left === right) return true;
  if (typeof left !== "object" || typeof right !== "object") return false;
  if (left instanceof EntityRef) return right instanceof EntityRef && sameEntity(left, right);
  if (left instanceof CedarSet) return right instanceof CedarSet && left.hasAll(right) && right.hasAll(left);
  if (left instanceof CedarRecord) return right instanceof CedarRecord && equalFields(left, right);
  return right instanceof ExtensionValue && left.equals(right);
}

function equalFields(left: CedarRecord, right: CedarRecord): boolean {
  if (left.fields.size !== right.fields.size) return false;
  for (const [name, value] of left.fields) {
    const other = right.fields.get(name);
    if (other === undefined || !equal(value, other)) return false;
  }
  return true;
}

/** The type's name as Cedar's error messages give it. */
export function typeOf(value: Value): string {
  switch (typeof value) {
    case "boolean":
      return "bool";
    case "string":
      return "string";
    case "number":
    case "bigint":
      return "long";
    default:
      if (value instanceof EntityRef) return `(entity of type \`${value.type.slice(0, 64)}\`)`;
      if (value instanceof CedarSet) return "set";
      return value instanceof CedarRecord ? "record" : value.typeName;
  }
}

interface SetIndex {
  readonly primitives: ReadonlySet<Value>;
  readonly keys: ReadonlySet<string>;
}

function indexElements(elements: readonly Value[]): SetIndex {
  const primitives = new Set<Value>();
  const keys = new Set<string>();
  for (const element of elements) {
    if (typeof element === "object") keys.add(objectKey(element));
    else primitives.add(element);
  }
  return { primitives, keys };
}

/** Told apart by their first character: a letter or `_` for entities, `@`, `{` and `[` for the others. */
function objectKey(value: EntityRef | CedarSet | CedarRecord | ExtensionValue): string {
  return value instanceof ExtensionValue ? value.key() : value.key;
}

/** A string equal for equal values and different otherwise, of which lists can be made without ambiguity. */
function valueKey(value: Value): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value !== "object") return String(value);
  return value instanceof EntityRef ? `<${JSON.stringify(value.key)}>` : objectKey(value);
}
