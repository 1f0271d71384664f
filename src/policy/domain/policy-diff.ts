import type { PolicySetJson } from "../cedar/types.ts";

/** What became of policies, templates and template links, by id. */
export type PolicySetDiff = {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
};

/** Compares policy sets by what their policies mean: layout, comments and order make no difference. */
export function diffPolicySets(before: PolicySetJson, after: PolicySetJson): PolicySetDiff {
  const old = canonicalize(before);
  const now = canonicalize(after);
  return {
    added: [...now.keys()].filter((id) => !old.has(id)).sort(),
    removed: [...old.keys()].filter((id) => !now.has(id)).sort(),
    changed: [...now.keys()].filter((id) => old.has(id) && old.get(id) !== now.get(id)).sort(),
  };
}

function canonicalize({ staticPolicies = {}, templates = {}, templateLinks = [] }: PolicySetJson): Map<string, string> {
  return new Map([
    ...Object.entries(staticPolicies).map(([id, json]): [string, string] => [id, write(["policy", json])]),
    ...Object.entries(templates).map(([id, json]): [string, string] => [id, write(["template", json])]),
    ...templateLinks.map(({ newId, ...link }): [string, string] => [newId, write(["link", link])]),
  ]);
}

/** JSON text that is the same for equal values: keys sorted, and a bigint told from a string of its digits. */
function write(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner === "bigint") return { bigint: String(inner) };
    if (typeof inner !== "object" || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
