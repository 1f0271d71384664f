import type { CedarJson } from "../cedar/types.ts";

/** A text that is not JSON, or not JSON that Cedar can use, and where (UTF-16 code units). */
export class ExactJsonError extends Error {
  readonly offset: number;

  constructor(offset: number, reason: string) {
    super(reason);
    this.name = "ExactJsonError";
    this.offset = offset;
  }
}

/** Arrays and objects open at once. */
const MAX_DEPTH = 128;

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LITERAL = /true|false|null/y;
const LITERALS: ReadonlyMap<string, CedarJson> = new Map<string, CedarJson>([
  ["true", true],
  ["false", false],
  ["null", null],
]);

/**
 * Parses JSON as Cedar needs it: integers that a number cannot hold become bigint, a key may occur once only, fractions
 * are refused, and a key named `__proto__` is a key.
 *
 * @throws ExactJsonError at the first fault
 * @see RFC 8259
 */
export function parseExactJson(text: string): CedarJson {
  let offset = 0;

  function take(pattern: RegExp): string | undefined {
    pattern.lastIndex = offset;
    const match = pattern.exec(text)?.[0];
    if (match !== undefined) offset += match.length;
    return match;
  }

  function skipSpace(): void {
    for (;;) {
      const char = text[offset];
      if (char !== " " && char !== "\n" && char !== "\r" && char !== "\t") return;
      offset++;
    }
  }

  /** Takes a character, and the space around it. */
  function takeChar(char: string): boolean {
    skipSpace();
    if (text[offset] !== char) return false;
    offset++;
    skipSpace();
    return true;
  }

  function fail(reason: string, at = offset): never {
    throw new ExactJsonError(at, reason);
  }

  function expected(what: string): never {
    const found = offset < text.length ? JSON.stringify(String.fromCodePoint(text.codePointAt(offset)!)) : "the end";
    return fail(`expected ${what}, found ${found}`);
  }

  function readValue(depth: number): CedarJson {
    if (depth > MAX_DEPTH) return fail(`nested more than ${MAX_DEPTH} levels deep`);
    switch (text[offset]) {
      case "{":
        return readObject(depth);
      case "[":
        return readArray(depth);
      case '"':
        return readString();
      default:
        return readScalar();
    }
  }

  function readObject(depth: number): CedarJson {
    const entries = new Map<string, CedarJson>();
    takeChar("{");
    if (takeChar("}")) return {};
    do {
      const at = offset;
      if (text[at] !== '"') expected("a key");
      const key = readString();
      if (entries.has(key)) fail(`the key ${JSON.stringify(key)} occurs twice`, at);
      if (!takeChar(":")) expected('":"');
      entries.set(key, readValue(depth + 1));
    } while (takeChar(","));
    if (!takeChar("}")) expected('"," or "}"');
    return Object.fromEntries(entries);
  }

  function readArray(depth: number): CedarJson {
    const elements: CedarJson[] = [];
    takeChar("[");
    if (takeChar("]")) return elements;
    do elements.push(readValue(depth + 1));
    while (takeChar(","));
    if (!takeChar("]")) expected('"," or "]"');
    return elements;
  }

  function readString(): string {
    const at = offset;
    // By hand: on a string of megabytes a regular expression exhausts its stack.
    let end = at + 1;
    while (text.charCodeAt(end) !== QUOTE) {
      end += text.charCodeAt(end) === BACKSLASH ? 2 : 1;
      if (end >= text.length) fail("the string does not end", at);
    }
    offset = end + 1;
    try {
      const value: string = JSON.parse(text.slice(at, offset));
      return value.isWellFormed() ? value : fail("a lone surrogate is not valid Unicode text", at);
    } catch (error) {
      if (error instanceof ExactJsonError) throw error;
      return fail("the string holds a control character or an escape that JSON does not have", at);
    }
  }

  function readScalar(): CedarJson {
    const literal = take(LITERAL);
    if (literal !== undefined) return LITERALS.get(literal)!;
    const at = offset;
    const digits = take(NUMBER);
    if (digits === undefined) return expected("a value");
    if (!/^-?[0-9]+$/.test(digits)) return fail("Cedar has integers only", at);
    const value = Number(digits);
    return Number.isSafeInteger(value) ? value + 0 : readBigInt(digits, at);
  }

  function readBigInt(digits: string, at: number): bigint {
    if (digits.length > 20) fail("the integer exceeds 64 bits", at);
    const value = BigInt(digits);
    return BigInt.asIntN(64, value) === value ? value : fail("the integer exceeds 64 bits", at);
  }

  skipSpace();
  const value = readValue(0);
  skipSpace();
  if (offset < text.length) expected("the end");
  return value;
}
