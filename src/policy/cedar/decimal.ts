import { EvaluationFailure } from "./errors.ts";
import { ExtensionValue } from "./extension-value.ts";
import { add, type Long, multiply, parseDigits, subtract } from "./long.ts";
import type { CedarJson } from "./types.ts";

const SHAPE = /^(-?)([0-9]+)\.([0-9]+)$/;
const FRACTION_DIGITS = 4;
const SCALE = 10 ** FRACTION_DIGITS;

/**
 * Cedar's `decimal`: a 64-bit integer count of ten-thousandths.
 *
 * @see https://docs.cedarpolicy.com/policies/syntax-datatypes.html#datatype-decimal
 */
export class Decimal extends ExtensionValue {
  readonly typeName = "decimal";
  /** The value times 10^4. */
  readonly scaled: Long;

  constructor(scaled: Long) {
    super();
    this.scaled = scaled;
  }

  equals(other: ExtensionValue): boolean {
    return other instanceof Decimal && other.scaled === this.scaled;
  }

  key(): string {
    return `@decimal:${this.scaled}`;
  }

  toJson(): CedarJson {
    const scaled = BigInt(this.scaled);
    const magnitude = scaled < 0n ? -scaled : scaled;
    const digits = magnitude.toString().padStart(FRACTION_DIGITS + 1, "0");
    const point = digits.length - FRACTION_DIGITS;
    const arg = `${scaled < 0n ? "-" : ""}${digits.slice(0, point)}.${digits.slice(point)}`;
    return { __extn: { fn: "decimal", arg } };
  }
}

/** Parses `-?digits.digits` with one to four fraction digits. The sign belongs to the fraction too: `-0.5` is −0.5. */
export function parseDecimal(text: string): Decimal {
  const match = SHAPE.exec(text);
  if (match === null) throw failure("not a well-formed decimal value");
  const [, sign, whole = "", fraction = ""] = match;
  if (fraction.length > FRACTION_DIGITS)
    throw failure("too many digits after the decimal point, at most 4 are supported");
  const negative = sign === "-";
  const left = parseDigits(whole, negative);
  const scaled = left === undefined ? undefined : multiply(left, SCALE);
  const right = Number(fraction.padEnd(FRACTION_DIGITS, "0"));
  const value = scaled === undefined ? undefined : negative ? subtract(scaled, right) : add(scaled, right);
  if (value === undefined) throw failure("overflow when converting to decimal");
  return new Decimal(value);
}

function failure(reason: string): EvaluationFailure {
  return new EvaluationFailure(`error while evaluating \`decimal\` extension function: ${reason}`);
}
