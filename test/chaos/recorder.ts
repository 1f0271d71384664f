import { ServiceError } from "../../src/shared/service-error.ts";
import type { Access, FaultRecord, History, Interval, Operation, Outcome } from "./history.ts";

/** One call, and what its outcome says and does. */
export interface RecordedCall<T> {
  readonly name: string;
  readonly replica: string;
  readonly decidedBy?: string;
  /** Sends it, with a deadline in milliseconds since the epoch. */
  send(deadline: number): Promise<T>;
  /** What it does if it is done, known before. */
  readonly writes?: readonly Access[];
  /** What it may have done when that stays unknown, where that differs. */
  readonly mayWrite?: readonly Access[];
  /** What the answer says, and did. */
  answered?(answer: T): { readonly reads?: readonly Access[]; readonly writes?: readonly Access[] };
  /** What a refusal says. */
  refused?(error: ServiceError): readonly Access[];
}

/** What came of a call: its answer, when there is one. */
export interface Recorded<T> {
  readonly outcome: Outcome;
  readonly answer?: T;
  readonly code: string;
}

/** Statuses that say that nothing was done. */
const refusals: ReadonlySet<string> = new Set([
  "UNAUTHENTICATED",
  "PERMISSION_DENIED",
  "INVALID_ARGUMENT",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "FAILED_PRECONDITION",
  "OUT_OF_RANGE",
]);

/** Time given to every call, in milliseconds: longer than the services give to anything that they depend on. */
export const callMs = 4_000;

/** Makes calls and keeps what came of them. */
export interface Recorder {
  /** Milliseconds since the run began. */
  now(): number;
  call<T>(call: RecordedCall<T>): Promise<Recorded<T>>;
  addFault(fault: FaultRecord): void;
  addCutOff(interval: Interval): void;
  addAway(interval: Interval): void;
  addCrash(replica: string): void;
  history(): History;
}

export function createRecorder(): Recorder {
  const origin = performance.now();
  const now = (): number => performance.now() - origin;
  const operations: Operation[] = [];
  const faults: FaultRecord[] = [];
  const cutOff: Interval[] = [];
  const away: Interval[] = [];
  const crashes: Pick<Interval, "replica" | "from">[] = [];
  return {
    now,
    async call<T>(call: RecordedCall<T>): Promise<Recorded<T>> {
      const { name, replica, decidedBy, writes = [] } = call;
      const start = now();
      const common = {
        name,
        replica,
        start,
        deadline: start + callMs,
        ...(decidedBy === undefined ? {} : { decidedBy }),
      };
      try {
        const answer = await call.send(Date.now() + callMs);
        const learned = call.answered?.(answer) ?? {};
        operations.push({
          ...common,
          end: now(),
          outcome: "ok",
          code: "OK",
          writes: [...writes, ...(learned.writes ?? [])],
          reads: learned.reads ?? [],
        });
        return { outcome: "ok", answer, code: "OK" };
      } catch (error) {
        // Anything else is a fault of this program.
        if (!(error instanceof ServiceError)) throw error;
        const { code, reason } = error;
        const outcome = refusals.has(code) ? "refused" : "unknown";
        operations.push({
          ...common,
          end: now(),
          outcome,
          code,
          reason,
          writes: outcome === "refused" ? [] : (call.mayWrite ?? writes),
          reads: outcome === "refused" ? (call.refused?.(error) ?? []) : [],
        });
        return { outcome, code };
      }
    },
    addFault: (fault) => void faults.push(fault),
    addCutOff: (interval) => void cutOff.push(interval),
    addAway: (interval) => void away.push(interval),
    addCrash: (replica) => void crashes.push({ replica, from: now() }),
    history: () => ({ operations, faults, cutOff, away, crashes }),
  };
}
