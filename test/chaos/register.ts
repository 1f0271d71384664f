/** A write as it was seen from outside. */
export interface Write {
  readonly grants: boolean;
  readonly start: number;
  readonly end: number;
  /** Whether it was acknowledged. */
  readonly sure: boolean;
}

/** All writes of one register, and what they allow to be read. */
export interface Register {
  write(write: Write): void;
  /**
   * Whether a reader could have found this value at some instant from `since` to `until`.
   *
   * A write takes effect at an instant between its start and its end, an unacknowledged one never, or at any instant until it
   * has settled. So what a write says may be found from its start on, until another that began after it, and was acknowledged
   * by `since`, has surely replaced it.
   */
  mayBe(grants: boolean, since: number, until: number): boolean;
}

/** Creates a register that grants nothing at first. */
export function createRegister(settleMs: number): Register {
  const beginning = Number.NEGATIVE_INFINITY;
  const writes: Write[] = [{ grants: false, start: beginning, end: beginning, sure: true }];
  const lastEffect = ({ sure, start, end }: Write): number => (sure ? end : Math.max(end, start + settleMs));
  return {
    write: (write) => void writes.push(write),
    mayBe: (grants, since, until) =>
      writes.some(
        (write) =>
          write.grants === grants &&
          write.start <= until &&
          !writes.some((other) => other.sure && other.start > lastEffect(write) && other.end <= since),
      ),
  };
}
