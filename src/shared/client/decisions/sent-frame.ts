import type { Pending } from "./pending.ts";

/** A frame on its way, with what it asks. */
export interface SentFrame {
  readonly questions: readonly Pending[];
  /** Milliseconds since the epoch. */
  readonly sentAt: number;
  /** Answers still to come. */
  open: number;
  /** Whether it has been counted as late. */
  isLate: boolean;
}
