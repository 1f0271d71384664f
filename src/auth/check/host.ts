const name = /^(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;
const bracketed = /^\[[0-9a-f:.]{2,45}\]$/;

/**
 * The host of a request in the form that rules are compared with: lower case, without its port and a dot at the end.
 *
 * @returns undefined when it is no host.
 */
export function normalHost(host: string): string | undefined {
  const lower = host.toLowerCase().replace(/:\d{1,5}$/, "");
  if (bracketed.test(lower)) return lower;
  const bare = lower.endsWith(".") ? lower.slice(0, -1) : lower;
  return name.test(bare) ? bare : undefined;
}
