/**
 * The value of a cookie (RFC 6265).
 *
 * @returns undefined when there is none; `ambiguous` when there are several that differ: one of them may have been planted
 *   by a sibling domain.
 */
export function cookieValue(header: string, name: string): { readonly value: string } | "ambiguous" | undefined {
  let found: string | undefined;
  for (const pair of header.split(";")) {
    const equals = pair.indexOf("=");
    if (equals === -1 || pair.slice(0, equals).trim() !== name) continue;
    const text = pair.slice(equals + 1).trim();
    const value = text.length > 1 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text;
    if (found !== undefined && found !== value) return "ambiguous";
    found = value;
  }
  return found === undefined ? undefined : { value: found };
}

/** A `Cookie` header without one of its cookies; empty when it was the only one. */
export function withoutCookie(header: string, name: string): string {
  return header
    .split(";")
    .map((pair) => pair.trim())
    .filter((pair) => pair !== "" && pair.split("=", 1)[0]?.trim() !== name)
    .join("; ");
}
