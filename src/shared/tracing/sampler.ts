/** Decides which traces are recorded. */
export interface Sampler {
  /**
   * Whether to record a call: as the caller has decided, where it has, otherwise by the ratio. Refuses beyond the bound a
   * second, whatever the caller says, so that nobody outside can make a service trace everything.
   */
  samples(traceId: string, parentSampled: boolean | undefined, nowMs: number): boolean;
}

/**
 * Samples by the trace id, as OpenTelemetry's TraceIdRatioBased does, so that all who see a trace and take the same ratio
 * agree on it.
 *
 * @param ratio Share of new traces, 0 to 1.
 * @param maxPerSecond Most calls to record in a second.
 */
export function createSampler(ratio: number, maxPerSecond: number): Sampler {
  // 52 random bits of the id: as many as a number holds exactly.
  const bound = ratio * 2 ** 52;
  let second = 0;
  let taken = 0;
  return {
    samples(traceId, parentSampled, nowMs) {
      if (!(parentSampled ?? Number.parseInt(traceId.slice(-13), 16) < bound)) return false;
      const now = Math.floor(nowMs / 1_000);
      if (now !== second) {
        second = now;
        taken = 0;
      }
      taken += 1;
      return taken <= maxPerSecond;
    },
  };
}
