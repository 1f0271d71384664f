/**
 * What a run did and saw. Every time is in milliseconds since the run began, by one clock that never steps.
 *
 * The system is seen as a set of registers, each of which grants something or does not: a session that is live or ended, a
 * user, key or entity that exists or does not, a policy that is open or closed. An operation reads registers, writes them, or both.
 */

/** One register and whether it grants. */
export interface Access {
  readonly register: string;
  readonly grants: boolean;
}

/** `ok`: answered; `refused`: answered that nothing was done; `unknown`: nobody can say whether it was done. */
export type Outcome = "ok" | "refused" | "unknown";

export interface Operation {
  readonly name: string;
  /** Replica that was asked. */
  readonly replica: string;
  /** Replica that decided by its copy of policies and entities, where one did. */
  readonly decidedBy?: string;
  readonly start: number;
  readonly end: number;
  /** Time by which an answer was asked for. */
  readonly deadline: number;
  readonly outcome: Outcome;
  /** gRPC status, `OK` included. */
  readonly code: string;
  readonly reason?: string;
  /** What it makes of registers: surely when `ok`, perhaps when `unknown`, not when `refused`. */
  readonly writes: readonly Access[];
  /** What the answer says of registers. */
  readonly reads: readonly Access[];
}

/** A stretch of time in which something held for one replica. */
export interface Interval {
  readonly replica: string;
  readonly from: number;
  readonly to: number;
}

/** One fault, from its injection to the first moment when all was well again. */
export interface FaultRecord {
  readonly fault: string;
  readonly target: string;
  readonly from: number;
  /** When its cause was taken away. */
  readonly healed: number;
  /** When every replica served every kind of call again; absent when that was not seen. */
  readonly recovered?: number;
}

export interface History {
  readonly operations: readonly Operation[];
  readonly faults: readonly FaultRecord[];
  /** When a replica could not learn of changes of policies: cut off from the store, or not running. */
  readonly cutOff: readonly Interval[];
  /** When a replica could not answer anything: stopped or dead. */
  readonly away: readonly Interval[];
  /** When a process ended by itself. */
  readonly crashes: readonly Pick<Interval, "replica" | "from">[];
}
