import {
  Datetime,
  Duration,
  durationSince,
  offset,
  parseDatetime,
  parseDuration,
  toDate,
  toTime,
  toUnit,
} from "./datetime.ts";
import { Decimal, parseDecimal } from "./decimal.ts";
import { typeError } from "./errors.ts";
import { IpAddr, isInRange, isLoopback, isMulticast, parseIp } from "./ipaddr.ts";
import { typeOf, type Value } from "./value.ts";

/** A function or method of an extension; a method's receiver is its first argument. Throws `EvaluationFailure`. */
export type ExtensionFunction =
  | { readonly arity: 1; readonly returnsBool: boolean; readonly call: (arg: Value) => Value }
  | { readonly arity: 2; readonly returnsBool: boolean; readonly call: (first: Value, second: Value) => Value };

/** Every extension function of Cedar 4 by name. */
export const EXTENSION_FUNCTIONS: ReadonlyMap<string, ExtensionFunction> = new Map<string, ExtensionFunction>([
  ["decimal", unary((arg) => parseDecimal(asString(arg)))],
  ["lessThan", binaryTest((a, b) => asDecimal(a).scaled < asDecimal(b).scaled)],
  ["lessThanOrEqual", binaryTest((a, b) => asDecimal(a).scaled <= asDecimal(b).scaled)],
  ["greaterThan", binaryTest((a, b) => asDecimal(a).scaled > asDecimal(b).scaled)],
  ["greaterThanOrEqual", binaryTest((a, b) => asDecimal(a).scaled >= asDecimal(b).scaled)],

  ["ip", unary((arg) => parseIp(asString(arg)))],
  ["isIpv4", unaryTest((arg) => asIp(arg).width === 32)],
  ["isIpv6", unaryTest((arg) => asIp(arg).width === 128)],
  ["isLoopback", unaryTest((arg) => isLoopback(asIp(arg)))],
  ["isMulticast", unaryTest((arg) => isMulticast(asIp(arg)))],
  ["isInRange", binaryTest((a, b) => isInRange(asIp(a), asIp(b)))],

  ["datetime", unary((arg) => parseDatetime(asString(arg)))],
  ["duration", unary((arg) => parseDuration(asString(arg)))],
  ["offset", binary((a, b) => offset(asDatetime(a), asDuration(b)))],
  ["durationSince", binary((a, b) => durationSince(asDatetime(a), asDatetime(b)))],
  ["toDate", unary((arg) => toDate(asDatetime(arg)))],
  ["toTime", unary((arg) => toTime(asDatetime(arg)))],
  ["toMilliseconds", unary((arg) => toUnit(asDuration(arg), "milliseconds"))],
  ["toSeconds", unary((arg) => toUnit(asDuration(arg), "seconds"))],
  ["toMinutes", unary((arg) => toUnit(asDuration(arg), "minutes"))],
  ["toHours", unary((arg) => toUnit(asDuration(arg), "hours"))],
  ["toDays", unary((arg) => toUnit(asDuration(arg), "days"))],
]);

function unary(call: (arg: Value) => Value): ExtensionFunction {
  return { arity: 1, returnsBool: false, call };
}

function unaryTest(call: (arg: Value) => boolean): ExtensionFunction {
  return { arity: 1, returnsBool: true, call };
}

function binary(call: (first: Value, second: Value) => Value): ExtensionFunction {
  return { arity: 2, returnsBool: false, call };
}

function binaryTest(call: (first: Value, second: Value) => boolean): ExtensionFunction {
  return { arity: 2, returnsBool: true, call };
}

function asString(value: Value): string {
  if (typeof value === "string") return value;
  throw typeError("string", typeOf(value));
}

function asDecimal(value: Value): Decimal {
  if (value instanceof Decimal) return value;
  throw typeError("decimal", typeOf(value));
}

function asIp(value: Value): IpAddr {
  if (value instanceof IpAddr) return value;
  throw typeError("ipaddr", typeOf(value));
}

function asDatetime(value: Value): Datetime {
  if (value instanceof Datetime) return value;
  throw typeError("datetime", typeOf(value));
}

function asDuration(value: Value): Duration {
  if (value instanceof Duration) return value;
  throw typeError("duration", typeOf(value));
}
