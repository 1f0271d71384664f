import { EvaluationFailure } from "./errors.ts";
import { ExtensionValue } from "./extension-value.ts";
import { add, divide, euclideanRemainder, type Long, multiply, parseDigits, subtract } from "./long.ts";
import type { CedarJson } from "./types.ts";

/**
 * Cedar's `datetime` and `duration`: 64-bit counts of milliseconds (RFC 80 of cedar-policy/rfcs).
 *
 * @see https://docs.cedarpolicy.com/policies/syntax-datatypes.html#datatype-datetime
 */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** An instant: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted. */
export class Datetime extends ExtensionValue {
  readonly typeName = "datetime";
  readonly epoch: Long;

  constructor(epoch: Long) {
    super();
    this.epoch = epoch;
  }

  equals(other: ExtensionValue): boolean {
    return other instanceof Datetime && other.epoch === this.epoch;
  }

  key(): string {
    return `@datetime:${this.epoch}`;
  }

  /** Not every instant has a calendar form (years 0000 to 9999), hence an offset from the epoch. */
  toJson(): CedarJson {
    const zero = { __extn: { fn: "datetime", arg: "1970-01-01" } };
    return { __extn: { fn: "offset", args: [zero, new Duration(this.epoch).toJson()] } };
  }
}

/** A signed span of milliseconds. */
export class Duration extends ExtensionValue {
  readonly typeName = "duration";
  readonly milliseconds: Long;

  constructor(milliseconds: Long) {
    super();
    this.milliseconds = milliseconds;
  }

  equals(other: ExtensionValue): boolean {
    return other instanceof Duration && other.milliseconds === this.milliseconds;
  }

  key(): string {
    return `@duration:${this.milliseconds}`;
  }

  toJson(): CedarJson {
    return { __extn: { fn: "duration", arg: `${this.milliseconds}ms` } };
  }
}

const DATETIME = /^(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{3}))?(?:Z|([+-])(\d{2})(\d{2})))?$/;

/** Parses `YYYY-MM-DD`, or that with `Thh:mm:ss`, optional `.SSS`, and `Z` or `±hhmm`. */
export function parseDatetime(text: string): Datetime {
  const match = DATETIME.exec(text);
  if (match === null) throw failure("datetime", "invalid datetime pattern");
  const field = (group: number): number => Number(match[group] ?? "0");
  const year = field(1);
  const month = field(2);
  const day = field(3);
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) throw failure("datetime", "invalid date");
  const hour = field(4);
  const minute = field(5);
  const second = field(6);
  if (hour > 23 || minute > 59 || second > 59) throw failure("datetime", "invalid hour/minute/second");
  const offsetHour = field(9);
  const offsetMinute = field(10);
  if (offsetHour > 23 || offsetMinute > 59) throw failure("datetime", "invalid offset range");
  const offset = (match[8] === "-" ? -1 : 1) * (offsetHour * HOUR + offsetMinute * MINUTE);
  const time = hour * HOUR + minute * MINUTE + second * SECOND + field(7);
  return new Datetime(daysSinceEpoch(year, month, day) * DAY + time - offset);
}

function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return isLeapYear(year) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** Days from 1970-01-01 in the proleptic Gregorian calendar, counting years from March so that leap days come last. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const shifted = month > 2 ? year : year - 1;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

const DURATION = /^(-?)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/;
const UNITS = [DAY, HOUR, MINUTE, SECOND, 1];

/** Parses a sequence such as `1d2h3m4s5ms`, each part optional but not all, with an optional leading `-`. */
export function parseDuration(text: string): Duration {
  const match = text === "" || text === "-" ? null : DURATION.exec(text);
  if (match === null) throw failure("duration", "invalid duration pattern");
  const negative = match[1] === "-";
  // The official order: milliseconds first. It decides whether a sum at the boundary overflows on the way.
  let total: Long | undefined = 0;
  for (let unit = UNITS.length - 1; unit >= 0; unit--) {
    const quantity = parseDigits(match[unit + 2] ?? "0", negative);
    const part = quantity === undefined ? undefined : multiply(quantity, UNITS[unit] as number);
    total = part === undefined || total === undefined ? undefined : add(total, part);
  }
  if (total === undefined) throw failure("duration", "Duration overflows internal representation");
  return new Duration(total);
}

/** `instant.offset(span)`. */
export function offset(instant: Datetime, span: Duration): Datetime {
  const epoch = add(instant.epoch, span.milliseconds);
  if (epoch === undefined) throw failure("offset", "overflows when adding an offset");
  return new Datetime(epoch);
}

/** `instant.durationSince(other)`. */
export function durationSince(instant: Datetime, other: Datetime): Duration {
  const span = subtract(instant.epoch, other.epoch);
  if (span === undefined) throw failure("durationSince", "overflows when computing the duration");
  return new Duration(span);
}

/** `instant.toDate()`: midnight UTC at or before the instant, also before 1970. */
export function toDate(instant: Datetime): Datetime {
  const midnight = subtract(instant.epoch, euclideanRemainder(instant.epoch, DAY));
  if (midnight === undefined) throw failure("toDate", "overflows when computing the date");
  return new Datetime(midnight);
}

/** `instant.toTime()`: the time since that midnight, never negative. */
export function toTime(instant: Datetime): Duration {
  return new Duration(euclideanRemainder(instant.epoch, DAY));
}

/** `span.toSeconds()` and its like: whole units, rounded towards zero. */
export function toUnit(span: Duration, unit: "days" | "hours" | "minutes" | "seconds" | "milliseconds"): Long {
  const length = { days: DAY, hours: HOUR, minutes: MINUTE, seconds: SECOND, milliseconds: 1 }[unit];
  return length === 1 ? span.milliseconds : divide(span.milliseconds, length);
}

function failure(name: string, reason: string): EvaluationFailure {
  return new EvaluationFailure(`error while evaluating \`${name}\` extension function: ${reason}`);
}
