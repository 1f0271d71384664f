const maxDepth = 100;

/**
 * Finds text in a message that has a lone surrogate, or nesting beyond 100, as JSON may bring it.
 *
 * @returns Path of the first such field, or `undefined`.
 */
export function findIllFormedText(value: unknown, path = "", depth = 0): string | undefined {
  if (typeof value === "string") return value.isWellFormed() ? undefined : path;
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return undefined;
  if (depth > maxDepth) return path;
  for (const [key, child] of Object.entries(value)) {
    if (key === "$typeName" || key === "$unknown") continue;
    const childPath = path === "" ? key.toWellFormed() : `${path}.${key.toWellFormed()}`;
    if (!key.isWellFormed()) return childPath;
    const found = findIllFormedText(child, childPath, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}
