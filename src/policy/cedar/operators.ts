import { Datetime, Duration } from "./datetime.ts";
import type { EntityView } from "./entity-node.ts";
import { EntityRef, sameEntity } from "./entity-ref.ts";
import { EvaluationFailure, formatUid, quote, typeError } from "./errors.ts";
import { add, type Long, multiply, negate, subtract } from "./long.ts";
import { CedarRecord, CedarSet, typeOf, type Value } from "./value.ts";

/** Cedar's operators on values. Each throws `EvaluationFailure` where Cedar has an evaluation error. */

const ANY_ENTITY = "(entity of type `any_entity_type`)";

/** The value as a Long. */
export function asLong(value: Value): Long {
  if (typeof value === "number" || typeof value === "bigint") return value;
  throw typeError("long", typeOf(value));
}

/** The value as a string. */
export function asString(value: Value): string {
  if (typeof value === "string") return value;
  throw typeError("string", typeOf(value));
}

/** The value as a set. */
export function asSet(value: Value): CedarSet {
  if (value instanceof CedarSet) return value;
  throw typeError("set", typeOf(value));
}

/** The value as an entity. */
export function asEntity(value: Value): EntityRef {
  if (value instanceof EntityRef) return value;
  throw typeError(ANY_ENTITY, typeOf(value));
}

/** `left + right`. */
export function plus(left: Value, right: Value): Long {
  return add(asLong(left), asLong(right)) ?? overflow("add", left, right);
}

/** `left - right`. */
export function minus(left: Value, right: Value): Long {
  return subtract(asLong(left), asLong(right)) ?? overflow("subtract", left, right);
}

/** `left * right`. */
export function times(left: Value, right: Value): Long {
  return multiply(asLong(left), asLong(right)) ?? overflow("multiply", left, right);
}

/** `-value`. */
export function negative(value: Value): Long {
  const result = negate(asLong(value));
  if (result !== undefined) return result;
  throw new EvaluationFailure(`integer overflow while attempting to negate the value \`${value}\``);
}

function overflow(verb: string, left: Value, right: Value): never {
  throw new EvaluationFailure(`integer overflow while attempting to ${verb} the values \`${left}\` and \`${right}\``);
}

/** `left < right` for two Longs, two datetimes or two durations. */
export function less(left: Value, right: Value): boolean {
  if (typeof left === "number" && typeof right === "number") return left < right;
  return comparable(left, right) < comparable(right, left);
}

/** `left <= right`, as {@link less}. */
export function lessOrEqual(left: Value, right: Value): boolean {
  if (typeof left === "number" && typeof right === "number") return left <= right;
  return comparable(left, right) <= comparable(right, left);
}

/** What a value is ordered by, if it can be ordered against `other`. */
function comparable(value: Value, other: Value): Long {
  if (typeof value === "number" || typeof value === "bigint") {
    if (typeof other === "number" || typeof other === "bigint") return value;
    throw other instanceof Datetime || other instanceof Duration
      ? typeError(other.typeName, "long")
      : typeError("long", typeOf(other));
  }
  if (value instanceof Datetime) {
    if (other instanceof Datetime) return value.epoch;
    throw typeError("datetime", typeOf(other));
  }
  if (value instanceof Duration) {
    if (other instanceof Duration) return value.milliseconds;
    throw typeError("duration", typeOf(other));
  }
  throw typeError("one of [long, datetime, duration]", typeOf(value));
}

/** `value.name` on a record or an entity. */
export function getAttribute(value: Value, name: string, view: EntityView): Value {
  if (value instanceof CedarRecord) {
    const field = value.fields.get(name);
    if (field !== undefined) return field;
    throw new EvaluationFailure(`record does not have the attribute ${quote(name)}`);
  }
  if (!(value instanceof EntityRef)) throw typeError(`one of [record, ${ANY_ENTITY}]`, typeOf(value));
  const node = view.node(value);
  if (node === undefined) throw missingEntity(value);
  const attribute = node.attrs.get(name);
  if (attribute !== undefined) return attribute;
  throw new EvaluationFailure(`${formatUid(value)} does not have the attribute ${quote(name)}`);
}

/** `value has name` on a record or an entity; an entity without data has nothing. */
export function hasAttribute(value: Value, name: string, view: EntityView): boolean {
  if (value instanceof CedarRecord) return value.fields.has(name);
  if (value instanceof EntityRef) return view.node(value)?.attrs.has(name) ?? false;
  throw typeError(`one of [record, ${ANY_ENTITY}]`, typeOf(value));
}

/** `value.getTag(name)`. */
export function getTag(value: Value, name: Value, view: EntityView): Value {
  const entity = asEntity(value);
  const tag = asString(name);
  const node = view.node(entity);
  if (node === undefined) throw missingEntity(entity);
  const found = node.tags.get(tag);
  if (found !== undefined) return found;
  throw new EvaluationFailure(`${formatUid(entity)} does not have the tag ${quote(tag)}`);
}

/** `value.hasTag(name)`. */
export function hasTag(value: Value, name: Value, view: EntityView): boolean {
  const entity = asEntity(value);
  const tag = asString(name);
  return view.node(entity)?.tags.has(tag) ?? false;
}

function missingEntity(ref: EntityRef): EvaluationFailure {
  return new EvaluationFailure(`entity ${formatUid(ref)} does not exist`);
}

/** Whether an entity is `target` or has it as an ancestor. */
export function isWithin(ref: EntityRef, target: EntityRef, view: EntityView): boolean {
  return sameEntity(ref, target) || view.ancestors(ref).has(target.key);
}

/** `left in right`: right is an entity, or a set of nothing but entities. */
export function isIn(left: Value, right: Value, view: EntityView): boolean {
  const entity = asEntity(left);
  if (right instanceof EntityRef) return isWithin(entity, right, view);
  if (!(right instanceof CedarSet)) throw typeError(`one of [set, ${ANY_ENTITY}]`, typeOf(right));
  // Every element is checked before any is compared: a set with a non-entity is an error even when another matches.
  const targets = right.elements.map(asEntity);
  return targets.some((target) => isWithin(entity, target, view));
}
