/** Keys of an element, in lower case: they are compared without case. */
const knownKeys: ReadonlySet<string> = new Set(["by", "hash", "cert", "chain", "subject", "uri", "dns"]);
const pairShape = /^\s*([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^"]*))\s*$/;
const maxLength = 32_768;

/**
 * The URI that the last proxy vouched for in `x-forwarded-client-cert`: the one URI of the last element. Elements before it
 * were there when the request came to that proxy.
 *
 * A header that is not of Envoy's form throughout is refused, for its end may then be what somebody else wrote: a quote that
 * was left open swallows what the proxy appends.
 *
 * https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#x-forwarded-client-cert
 *
 * @returns undefined when the header is malformed, or its last element has no URI or more than one.
 */
export function forwardedClientUri(header: string): string | undefined {
  if (header.length > maxLength) return undefined;
  const elements = split(header, ",")?.map(parseElement);
  if (elements === undefined || elements.includes(undefined)) return undefined;
  const uris = elements.at(-1)?.filter(([key]) => key === "uri") ?? [];
  return uris.length === 1 ? uris[0]?.[1] : undefined;
}

/** The pairs of an element, keys in lower case; undefined when one is malformed. */
function parseElement(element: string): readonly (readonly [key: string, value: string])[] | undefined {
  const pairs: [string, string][] = [];
  for (const text of split(element, ";") ?? []) {
    const [, key = "", quoted, plain = ""] = pairShape.exec(text) ?? [];
    if (!knownKeys.has(key.toLowerCase())) return undefined;
    pairs.push([key.toLowerCase(), quoted === undefined ? plain.trim() : quoted.replace(/\\(.)/g, "$1")]);
  }
  return pairs.length === 0 ? undefined : pairs;
}

/** Splits outside of double quotes; undefined when a quote does not end. */
function split(text: string, separator: string): string[] | undefined {
  const parts: string[] = [];
  let quoted = false;
  let start = 0;
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index];
    if (quoted && character === "\\") index += 1;
    else if (character === '"') quoted = !quoted;
    else if (!quoted && character === separator) {
      parts.push(text.slice(start, index));
      start = index + 1;
    }
  }
  parts.push(text.slice(start));
  return quoted ? undefined : parts;
}
