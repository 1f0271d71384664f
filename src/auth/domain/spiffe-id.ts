/** The name of a workload (SPIFFE-ID section 2). */
export interface SpiffeId {
  readonly trustDomain: string;
  /** Begins with a slash. */
  readonly path: string;
}

const shape = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)+)$/;
const maxLength = 2_048;

/**
 * Reads a SPIFFE id; undefined when it is none, or names a trust domain and no workload.
 *
 * https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md
 */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  if (text.length > maxLength) return undefined;
  const [, trustDomain, path] = shape.exec(text) ?? [];
  if (trustDomain === undefined || path === undefined || /\/\.{1,2}(?:\/|$)/.test(path)) return undefined;
  return { trustDomain, path };
}
