/**
 * The SPIFFE id that the last proxy vouched for in `x-forwarded-client-cert`: the one URI of the last element. Elements
 * before it were there when the request came to that proxy.
 *
 * https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#x-forwarded-client-cert
 *
 * @returns undefined when the header is malformed, or its last element has no URI or more than one.
 */
export function forwardedClientUri(header: string): string | undefined {
  const last = split(header, ",")?.at(-1);
  const pairs = last === undefined ? undefined : split(last, ";");
  if (pairs === undefined) return undefined;
  const uris = pairs.flatMap((pair) => {
    const equals = pair.indexOf("=");
    return pair.slice(0, equals).trim().toLowerCase() === "uri" ? [unquote(pair.slice(equals + 1).trim())] : [];
  });
  return uris.length === 1 ? uris[0] : undefined;
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

function unquote(text: string): string {
  if (text.length < 2 || !text.startsWith('"') || !text.endsWith('"')) return text;
  return text.slice(1, -1).replace(/\\(.)/g, "$1");
}
