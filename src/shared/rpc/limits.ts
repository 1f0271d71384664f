import { defaultOverloadLimits, type OverloadLimits } from "./admission/overload-limits.ts";

/** Bounds of a host. Sizes in bytes, times in milliseconds. */
export interface HostLimits extends OverloadLimits {
  /** Largest message, received or sent. Beyond it: RESOURCE_EXHAUSTED. */
  readonly maxMessageBytes: number;
  /** Calls in flight on one HTTP/2 connection. Beyond it, HTTP/2 refuses the stream. */
  readonly maxConcurrentStreams: number;
  /** Calls that one HTTP/2 connection may give up in a second. Beyond it, the connection is closed (CVE-2023-44487). */
  readonly maxStreamResetsPerSecond: number;
  /** All headers of one request together. */
  readonly maxHeaderBytes: number;
  /** Open connections of one port. Beyond it, new ones are closed at once. */
  readonly maxConnections: number;
  /** Longest time a unary call may take, also when its caller gave it longer or did not say. */
  readonly maxUnaryMs: number;
  /** An HTTP/2 connection is pinged after this long… */
  readonly keepaliveIntervalMs: number;
  /** …and closed when the answer takes longer than this. */
  readonly keepaliveTimeoutMs: number;
  /** Age at which a connection is asked to close, ±10 %, so that new replicas get their share. */
  readonly maxConnectionAgeMs: number;
  /** Time that calls in flight have to finish after that. */
  readonly maxConnectionAgeGraceMs: number;
  /** Time between the end of readiness and the end of accepting connections, for load balancers to notice. */
  readonly drainDelayMs: number;
  /** Time that calls in flight have to finish when the host drains. */
  readonly drainGraceMs: number;
}

export const defaultLimits: HostLimits = {
  ...defaultOverloadLimits,
  maxMessageBytes: 1_048_576,
  maxConcurrentStreams: 2_000,
  maxStreamResetsPerSecond: 20_000,
  maxHeaderBytes: 32_768,
  maxConnections: 10_000,
  maxUnaryMs: 60_000,
  keepaliveIntervalMs: 30_000,
  keepaliveTimeoutMs: 10_000,
  maxConnectionAgeMs: 30 * 60_000,
  maxConnectionAgeGraceMs: 30_000,
  drainDelayMs: 0,
  drainGraceMs: 20_000,
};
