import type { Attributes, Json } from "./principal.ts";

const maxNameBytes = 256;
const maxAttributeBytes = 16_384;
const maxDepth = 32;
/** Control characters, lone surrogates, line and paragraph separators, and what changes the direction of writing. */
const unfit = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;

/** Tells what is wrong with a folded user name; undefined when nothing is. */
export function userNameFault(name: string): string | undefined {
  if (name === "") return "is required";
  if (Buffer.byteLength(name) > maxNameBytes)
    return `must be at most ${maxNameBytes} bytes, Unicode NFKC and case folded`;
  if (name !== name.trim()) return "must not begin or end with a space";
  return unfit.test(name) ? "must not have control characters" : undefined;
}

/** Tells what is wrong with attributes, which are to be Cedar values in JSON; undefined when nothing is. */
export function attributesFault(attributes: Attributes): string | undefined {
  const fault = valueFault(attributes, 0);
  if (fault !== undefined) return fault;
  const bytes = Buffer.byteLength(JSON.stringify(attributes));
  return bytes > maxAttributeBytes ? `must be at most ${maxAttributeBytes} bytes of JSON` : undefined;
}

function valueFault(value: Json, depth: number): string | undefined {
  if (depth > maxDepth) return `must not be nested deeper than ${maxDepth}`;
  if (value === null) return "must not hold null, which Cedar does not have";
  if (typeof value === "number")
    return Number.isSafeInteger(value) ? undefined : "must hold only whole numbers within ±(2^53−1)";
  if (typeof value !== "object") return undefined;
  for (const item of Object.values(value)) {
    const fault = valueFault(item as Json, depth + 1);
    if (fault !== undefined) return fault;
  }
  return undefined;
}
