import { ServiceError } from "../service-error.ts";

/**
 * Where a message stands in its topic: two decimal numbers joined by a hyphen, as in a Redis stream id. Positions of one
 * topic only grow; those of different topics cannot be compared.
 */
export type Position = string;

/** The position before every message. */
export const origin: Position = "0-0";

const form = /^(0|[1-9]\d{0,19})-(0|[1-9]\d{0,19})$/;

/**
 * Checks a position that came from outside.
 *
 * @throws ServiceError INVALID_ARGUMENT (BUS_POSITION_INVALID) when it is not in the form of one.
 */
export function parsePosition(text: string): Position {
  if (!form.test(text)) {
    throw new ServiceError("INVALID_ARGUMENT", "The position is not one that was answered before.", {
      reason: "BUS_POSITION_INVALID",
    });
  }
  return text;
}

/** Negative when `a` is before `b`, 0 when they are the same, positive when it is after. */
export function comparePositions(a: Position, b: Position): number {
  const hyphenA = a.indexOf("-");
  const hyphenB = b.indexOf("-");
  return (
    compareDecimals(a.slice(0, hyphenA), b.slice(0, hyphenB)) ||
    compareDecimals(a.slice(hyphenA + 1), b.slice(hyphenB + 1))
  );
}

/** Compares whole numbers of up to 64 bits without rounding: the longer is the greater. */
function compareDecimals(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}
