/** A policy's error at evaluation: which policy, and what Cedar says of it. */
export interface PolicyFault {
  /** Index into the policy set's `policyIds`; −1 for a fault outside any policy. */
  readonly policyIndex: number;
  readonly message: string;
}

/** The answer of one decision, written by the engine and read before the next: reusable, so that deciding allocates nothing. */
export interface Decision {
  allow: boolean;
  /** Whether a `forbid` is satisfied. */
  forbidden: boolean;
  /** True when a `forbid` failed in strict mode, or evaluation itself did, so that no answer but DENY is safe. */
  indeterminate: boolean;
  /** Indexes into `policyIds`, ascending: the satisfied forbids if there are any, else the satisfied permits. */
  readonly determining: number[];
  /** Ascending by policy. */
  readonly errors: PolicyFault[];
}

/** Creates a decision to be written: DENY until it is. */
export function createDecision(): Decision {
  return { allow: false, forbidden: false, indeterminate: false, determining: [], errors: [] };
}
