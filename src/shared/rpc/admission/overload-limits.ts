/** When a host refuses work. Times in milliseconds. */
export interface OverloadLimits {
  /** Unary calls that may be worked on at once, those included that wait for others. */
  readonly maxInFlight: number;
  /** Calls that may wait for their turn. */
  readonly maxQueued: number;
  /** Longest time that a call may wait once the host has been behind for `overloadIntervalMs`. */
  readonly targetDelayMs: number;
  /** How long the host may be behind, and until then the longest time that a call may wait. */
  readonly overloadIntervalMs: number;
}

export const defaultOverloadLimits: OverloadLimits = {
  maxInFlight: 1_000,
  maxQueued: 2_000,
  targetDelayMs: 25,
  overloadIntervalMs: 250,
};
