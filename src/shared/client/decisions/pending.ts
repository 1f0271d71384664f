import type { ServiceError } from "../../service-error.ts";
import type { Bucket, Expiring } from "./deadlines.ts";
import type { DecisionAnswer } from "./decision.ts";
import type { Question } from "./question.ts";
import type { SentFrame } from "./sent-frame.ts";

/** Told when a question is over for another reason than an answer. */
export interface PendingOwner {
  expired(pending: Pending): void;
  cancelled(pending: Pending): void;
  settled(pending: Pending): void;
}

/** One question that waits for its one answer: whatever settles it first does, and the rest changes nothing. */
export class Pending implements Expiring {
  readonly question: Question;
  readonly deadline: number;
  /** Whether the caller set the deadline, rather than the client's own limit. */
  readonly isCallersDeadline: boolean;
  isSettled = false;
  bucket: Bucket | undefined;
  bucketIndex = 0;
  /** Whether it is in the queue, not yet sent or to be sent again. */
  isQueued = false;
  /** Times it was sent. */
  attempts = 0;
  /** The frame that it was last sent in. */
  frame: SentFrame | undefined;
  readonly #owner: PendingOwner;
  readonly #resolve: (answer: DecisionAnswer) => void;
  readonly #reject: (error: ServiceError) => void;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort: (() => void) | undefined;

  constructor(
    owner: PendingOwner,
    question: Question,
    deadline: { readonly at: number; readonly isCallers: boolean },
    signal: AbortSignal | undefined,
    resolve: (answer: DecisionAnswer) => void,
    reject: (error: ServiceError) => void,
  ) {
    this.question = question;
    this.deadline = deadline.at;
    this.isCallersDeadline = deadline.isCallers;
    this.#owner = owner;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#signal = signal;
    if (signal !== undefined) {
      this.#onAbort = () => owner.cancelled(this);
      signal.addEventListener("abort", this.#onAbort, { once: true });
    }
  }

  answer(answer: DecisionAnswer): void {
    if (this.#settle()) this.#resolve(answer);
  }

  fail(error: ServiceError): void {
    if (this.#settle()) this.#reject(error);
  }

  expire(): void {
    this.#owner.expired(this);
  }

  #settle(): boolean {
    if (this.isSettled) return false;
    this.isSettled = true;
    if (this.#onAbort !== undefined) this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#owner.settled(this);
    return true;
  }
}
