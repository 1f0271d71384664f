/**
 * Cedar's Long: a signed 64-bit integer whose arithmetic fails on overflow.
 *
 * INVARIANT: a Long is a `number` when it is within ±(2^53 − 1) and a `bigint` otherwise, so that `===` is equality and
 * JavaScript's mixed `<` is order. Arithmetic tries numbers first: a result that is a safe integer is exact, since a true
 * result outside the safe range never rounds into it. Anything else is recomputed with BigInt.
 */
export type Long = number | bigint;

const MIN = -(2n ** 63n);
const MAX = 2n ** 63n - 1n;

/** Returns the canonical Long for an exact integer, or `undefined` outside 64 bits. */
export function fromBigInt(value: bigint): Long | undefined {
  if (value < MIN || value > MAX) return undefined;
  const narrow = Number(value);
  return Number.isSafeInteger(narrow) ? narrow : value;
}

/** `left + right`, or `undefined` on overflow. */
export function add(left: Long, right: Long): Long | undefined {
  if (typeof left === "number" && typeof right === "number") {
    const sum = left + right;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return fromBigInt(BigInt(left) + BigInt(right));
}

/** `left - right`, or `undefined` on overflow. */
export function subtract(left: Long, right: Long): Long | undefined {
  if (typeof left === "number" && typeof right === "number") {
    const difference = left - right;
    if (Number.isSafeInteger(difference)) return difference;
  }
  return fromBigInt(BigInt(left) - BigInt(right));
}

/** `left * right`, or `undefined` on overflow. */
export function multiply(left: Long, right: Long): Long | undefined {
  if (typeof left === "number" && typeof right === "number") {
    const product = left * right;
    // Adding 0 turns -0 into 0.
    if (Number.isSafeInteger(product)) return product + 0;
  }
  return fromBigInt(BigInt(left) * BigInt(right));
}

/** `-value`, or `undefined` for the least Long. */
export function negate(value: Long): Long | undefined {
  return typeof value === "number" ? 0 - value : fromBigInt(-value);
}

/** `value / divisor` rounded towards zero; the divisor is positive and safe. */
export function divide(value: Long, divisor: number): Long {
  if (typeof value === "number") return Math.trunc(value / divisor) + 0;
  return fromBigInt(value / BigInt(divisor)) as Long;
}

/** `value mod divisor` in `[0, divisor)`; the divisor is positive and safe. */
export function euclideanRemainder(value: Long, divisor: number): number {
  const remainder = typeof value === "number" ? value % divisor : Number(value % BigInt(divisor));
  return remainder < 0 ? remainder + divisor : remainder + 0;
}

/**
 * Parses decimal digits of any length into a Long, or returns `undefined` on overflow. Linear in the text's length:
 * a million digits are refused without building their BigInt.
 */
export function parseDigits(digits: string, negative: boolean): Long | undefined {
  let start = 0;
  while (start < digits.length - 1 && digits.charCodeAt(start) === 48) start++;
  if (digits.length - start > 19) return undefined;
  const magnitude = BigInt(digits.slice(start));
  return fromBigInt(negative ? -magnitude : magnitude);
}
