import type { JsonObject } from "@bufbuild/protobuf";
import { type CommandInput, UsageError } from "./command.ts";

type Values = CommandInput["values"];

/** The values of an option that may be given more than once. */
export function listOf(values: Values, option: string): string[] {
  const given = values[option];
  return Array.isArray(given) ? given.map(String) : [];
}

/** @throws UsageError when it is not a JSON object. */
export function attributesOf(values: Values): JsonObject | undefined {
  if (values.attributes === undefined) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(String(values.attributes));
  } catch {
    parsed = undefined;
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new UsageError(`--attributes must be a JSON object, for example '{"team":"docs"}'`);
  }
  return parsed as JsonObject;
}

/** The version that is expected; 0 when any will do. */
export function versionOf(values: Values): bigint {
  const given = values["expected-version"];
  if (given === undefined) return 0n;
  if (!/^\d{1,19}$/.test(String(given))) throw new UsageError("--expected-version must be a number");
  return BigInt(String(given));
}

const units: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time to come, in milliseconds since the epoch: after `90d`, `12h` or `30m`, or as `2027-01-31T12:00:00Z`. */
export function expiryOf(values: Values, now: number): number | undefined {
  if (values.expires === undefined) return undefined;
  const given = String(values.expires);
  const [, count, unit] = /^(\d{1,6})([mhd])$/.exec(given) ?? [];
  const isDate = /^\d{4}-\d{2}-\d{2}(T\S+)?$/.test(given);
  const time =
    unit === undefined ? (isDate ? Date.parse(given) : Number.NaN) : now + Number(count) * (units[unit] ?? 0);
  if (Number.isNaN(time)) throw new UsageError("--expires must be a duration such as 90d or a date such as 2027-01-31");
  return time;
}
