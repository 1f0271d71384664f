/** Cedar's `like`: literals and `*`, matched in linear time whatever the pattern. */

/** A pattern's elements as in the JSON policy format. */
export type PatternElement = "Wildcard" | { readonly Literal: string };

/** Above this product of text and literal lengths, the engine's own search replaces the built-in, whose worst case it is. */
const BUILT_IN_LIMIT = 100_000;

/**
 * Compiles a pattern to a test. Runs of literals between wildcards are searched for from left to right, each taking its
 * first occurrence, which is never worse than a later one; so there is no backtracking, whatever the count of wildcards.
 */
export function compilePattern(elements: readonly PatternElement[]): (text: string) => boolean {
  const runs: string[][] = [[]];
  for (const element of elements) {
    if (element === "Wildcard") runs.push([]);
    else runs.at(-1)?.push(element.Literal);
  }
  const literals = runs.map((run) => run.join(""));
  const prefix = literals[0] ?? "";
  if (literals.length === 1) return (text) => text === prefix;
  const suffix = literals.at(-1) ?? "";
  const middle = literals.slice(1, -1).filter((run) => run !== "");
  const least = prefix.length + suffix.length;
  if (middle.length === 0) {
    return (text) => text.length >= least && text.startsWith(prefix) && text.endsWith(suffix);
  }
  const searches = middle.map(createSearch);
  return (text) => {
    if (text.length < least || !text.startsWith(prefix) || !text.endsWith(suffix)) return false;
    const end = text.length - suffix.length;
    let from = prefix.length;
    for (const search of searches) {
      from = search(text, from, end);
      if (from < 0) return false;
    }
    return true;
  };
}

/** Finds a literal in `text[from, end)`: the index just after its first occurrence, or −1. */
type Search = (text: string, from: number, end: number) => number;

function createSearch(literal: string): Search {
  let borders: Int32Array | undefined;
  return (text, from, end) => {
    if (literal.length * (end - from) > BUILT_IN_LIMIT) {
      borders ??= borderLengths(literal);
      return searchWithBorders(text, from, end, literal, borders);
    }
    const at = text.indexOf(literal, from);
    return at >= 0 && at + literal.length <= end ? at + literal.length : -1;
  };
}

/** Knuth-Morris-Pratt: the length of the longest proper border of each prefix of the literal. */
function borderLengths(literal: string): Int32Array {
  const borders = new Int32Array(literal.length);
  for (let at = 1, length = 0; at < literal.length; at++) {
    while (length > 0 && literal.charCodeAt(at) !== literal.charCodeAt(length)) length = borders[length - 1] as number;
    if (literal.charCodeAt(at) === literal.charCodeAt(length)) length++;
    borders[at] = length;
  }
  return borders;
}

function searchWithBorders(text: string, from: number, end: number, literal: string, borders: Int32Array): number {
  for (let at = from, matched = 0; at < end; at++) {
    while (matched > 0 && text.charCodeAt(at) !== literal.charCodeAt(matched)) matched = borders[matched - 1] as number;
    if (text.charCodeAt(at) === literal.charCodeAt(matched)) matched++;
    if (matched === literal.length) return at + 1;
  }
  return -1;
}
