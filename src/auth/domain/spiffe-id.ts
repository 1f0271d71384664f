import { isSpiffeId } from "../../shared/tls/spiffe.ts";

/** The name of a workload (SPIFFE-ID section 2). */
export interface SpiffeId {
  readonly trustDomain: string;
  /** Begins with a slash. */
  readonly path: string;
}

/** Reads a SPIFFE id; undefined when it is none, or names a trust domain and no workload. */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  const [, trustDomain, path] = (isSpiffeId(text) && /^spiffe:\/\/([^/]+)(\/.+)$/.exec(text)) || [];
  return trustDomain === undefined || path === undefined ? undefined : { trustDomain, path };
}
