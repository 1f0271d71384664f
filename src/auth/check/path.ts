/**
 * How paths are read. What two parts of a system could read differently is rejected, unless the configuration says which
 * reading holds: what is authorized must be what the workload serves.
 */
export interface PathRules {
  /** `%2F`, `%5C`. `keep` leaves them encoded, as a part of their segment and never as a separator. */
  readonly encodedSlashes: "reject" | "keep";
  /** `//`. `merge` reads it as `/`. */
  readonly doubleSlashes: "reject" | "merge";
  /** A `/` at the end. `strict` makes it another path, `ignore` the same. */
  readonly trailingSlash: "strict" | "ignore";
  /** `;`, which some servers cut off with all that follows in the segment. */
  readonly semicolons: "reject" | "keep";
  /** Whether letters of literal segments match in upper and lower case alike. Variables keep theirs. */
  readonly ignoreCase: boolean;
}

const maxPathLength = 8_192;
/** Visible ASCII but for the backslash, which some servers take for a slash, and `#`, which no request line has. */
const plain = /^\/[!"$-[\]-~]*$/;
const badEscape = /%(?![0-9A-Fa-f]{2})/;
const escapedSlash = /%(?:2f|5c)/gi;
const anyEscape = /%[0-9A-Fa-f]{2}/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: They are what is looked for.
const control = /[\u0000-\u001f\u007f-\u009f]/;

/** The query of a request target, without its question mark. */
export function queryOf(target: string): string {
  const mark = target.indexOf("?");
  return mark === -1 ? "" : target.slice(mark + 1);
}

/**
 * Splits the path of a request target into decoded segments. `/` has none; a slash at the end makes an empty last one.
 *
 * @returns undefined when the path is not acceptable: not absolute, too long, with `.` or `..` (encoded or not), escapes
 *   that are broken, doubled (`%252e`) or no UTF-8, control characters, a backslash, or what the rules reject.
 */
export function pathSegments(target: string, rules: PathRules): readonly string[] | undefined {
  const mark = target.indexOf("?");
  const path = mark === -1 ? target : target.slice(0, mark);
  if (path.length > maxPathLength || !plain.test(path)) return undefined;
  if (path === "/") return [];
  const raw = path.slice(1).split("/");
  const last = raw.length - 1;
  const segments: string[] = [];
  for (const [index, text] of raw.entries()) {
    if (text === "") {
      if (index === last) {
        if (rules.trailingSlash === "strict" && segments.length > 0) segments.push("");
      } else if (rules.doubleSlashes === "reject") {
        return undefined;
      }
      continue;
    }
    const segment = decodeSegment(text, rules);
    if (segment === undefined) return undefined;
    segments.push(segment);
  }
  // Slashes alone, merged, are the root.
  return segments;
}

function decodeSegment(text: string, rules: PathRules): string | undefined {
  const segment = text.includes("%") ? unescapeSegment(text, rules) : text;
  if (segment === undefined) return undefined;
  const [name = "", ...parameters] = segment.split(";");
  if (parameters.length > 0 && rules.semicolons === "reject") return undefined;
  return name === "." || name === ".." ? undefined : segment;
}

function unescapeSegment(text: string, { encodedSlashes }: PathRules): string | undefined {
  if (badEscape.test(text)) return undefined;
  const pieces = text.split(escapedSlash);
  if (pieces.length > 1 && encodedSlashes === "reject") return undefined;
  const decoded: string[] = [];
  for (const piece of pieces) {
    let plainText: string;
    try {
      plainText = decodeURIComponent(piece);
    } catch {
      return undefined;
    }
    if (anyEscape.test(plainText) || control.test(plainText)) return undefined;
    // Climbs where a server decodes the slash beside it.
    if (pieces.length > 1 && /^\.\.?(?:;|$)/.test(plainText)) return undefined;
    if (plainText.includes("\\") || plainText.includes("/")) return undefined;
    decoded.push(plainText);
  }
  // In one spelling, so that they can be compared.
  const slashes = text.match(escapedSlash) ?? [];
  return decoded.map((piece, index) => piece + (slashes[index]?.toUpperCase() ?? "")).join("");
}
