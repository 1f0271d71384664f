import type { Token } from "./lexer.ts";

/**
 * The wasm build hands policies over as JavaScript numbers and so rounds Longs beyond 2^53. Each such literal is
 * replaced before parsing by a small integer that the policy does not use, and put back as a bigint afterwards.
 */
export type ExactText = { readonly text: string; readonly longs: ReadonlyMap<number, bigint> };

const SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * Replaces the literals that a JavaScript number cannot hold.
 *
 * @param text the whole statement
 * @param tokens its tokens
 * @param base where the tokens' offsets start, UTF-16 code units
 */
export function substituteLongs(text: string, tokens: readonly Token[], base: number): ExactText {
  const integers = tokens.filter(({ kind }) => kind === "integer");
  const large = integers.filter((token) => token.text.length > 15 && BigInt(token.text) > SAFE);
  if (large.length === 0) return { text, longs: new Map() };
  const used = new Set(integers.map((token) => BigInt(token.text)));
  const longs = new Map<number, bigint>();
  let next = 1;
  let end = 0;
  let substituted = "";
  for (const token of large) {
    while (used.has(BigInt(next))) next++;
    substituted += text.slice(end, token.start - base) + next;
    end = token.end - base;
    longs.set(next++, BigInt(token.text));
  }
  return { text: substituted + text.slice(end), longs };
}

/** Puts the replaced literals back: the result shares nothing with a value in which one occurs. */
export function restoreLongs<T>(value: T, longs: ReadonlyMap<number, bigint>): T {
  return longs.size === 0 ? value : (restore(value, longs) as T);
}

function restore(value: unknown, longs: ReadonlyMap<number, bigint>): unknown {
  if (typeof value === "number") {
    const long = longs.get(Math.abs(value));
    return long === undefined ? value : value < 0 ? -long : long;
  }
  if (Array.isArray(value)) return value.map((element) => restore(element, longs));
  if (typeof value !== "object" || value === null) return value;
  // fromEntries defines properties, so an attribute named `__proto__` stays one.
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, restore(inner, longs)]));
}
