/** One scope (RFC 6749 section 3.3), of 128 characters at most. */
const scopeShape = /^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/;

/** Most scopes of one token. */
export const maxScopes = 64;

/** The scopes of a list that is separated by spaces, each once; undefined when one is malformed or there are too many. */
export function parseScopes(text: string): readonly string[] | undefined {
  return distinctScopes(text.split(" ").filter((scope) => scope !== ""));
}

/** Scopes, each once; undefined when one is malformed or there are too many. */
export function distinctScopes(scopes: readonly string[]): readonly string[] | undefined {
  const distinct = [...new Set(scopes)];
  return distinct.length <= maxScopes && distinct.every((scope) => scopeShape.test(scope)) ? distinct : undefined;
}

/** Those of `wanted`, or all of `allowed` when none are wanted; undefined when one is not allowed. */
export function grantedScopes(wanted: readonly string[], allowed: readonly string[]): readonly string[] | undefined {
  if (wanted.length === 0) return allowed;
  const distinct = distinctScopes(wanted);
  return distinct?.every((scope) => allowed.includes(scope)) === true ? distinct : undefined;
}
