import type { EntityName } from "./authorizer.ts";

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

/** Whether scopes hold an action; those of no limit (undefined) hold all. */
export function holdsAction(scopes: readonly string[] | undefined, action: EntityName): boolean {
  if (scopes === undefined) return true;
  const scope = scopeOf(action);
  return scope !== undefined && scopes.includes(scope);
}
