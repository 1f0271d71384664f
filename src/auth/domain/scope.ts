import type { EntityName } from "./authorizer.ts";
import type { Authentication } from "./credentials/credential.ts";

/** What a scope may be made of (RFC 6749 section 3.3), without the separator of Cedar's namespaces. */
const id = /^[!#-[\]-~]{1,128}$/;
const namespacedType = /^(?<namespace>(?:[A-Za-z_]\w*::)*)Action$/;

/**
 * The scope that an action is in: `view` for `Action::"view"`, `Shop::view` for `Shop::Action::"view"`. Undefined for one
 * whose id cannot be told from others in that form: no scope holds it.
 */
export function scopeOf(action: EntityName): string | undefined {
  const namespace = namespacedType.exec(action.type)?.groups?.namespace;
  if (namespace === undefined || !id.test(action.id) || action.id.includes("::")) return undefined;
  return namespace + action.id;
}

/** Whether a credential is good for an action: an API key with scopes only for theirs, any other for all. */
export function isInScope({ apiKey }: Pick<Authentication, "apiKey">, action: EntityName): boolean {
  if (apiKey === undefined || apiKey.scopes.length === 0) return true;
  const scope = scopeOf(action);
  return scope !== undefined && apiKey.scopes.includes(scope);
}
