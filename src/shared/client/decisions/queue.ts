import type { Pending } from "./pending.ts";

/** Questions that wait to be sent, in order. Those settled meanwhile cost nothing but a place until it is cleared. */
export class PendingQueue {
  #items: Pending[] = [];
  #head = 0;
  #waiting = 0;

  /** Questions that still want an answer. */
  get waiting(): number {
    return this.#waiting;
  }

  push(question: Pending): void {
    question.isQueued = true;
    this.#waiting += 1;
    this.#items.push(question);
  }

  /** Puts questions before all others. */
  unshift(questions: readonly Pending[]): void {
    for (const question of questions) question.isQueued = true;
    this.#waiting += questions.length;
    this.#items = [...questions, ...this.#items.slice(this.#head)];
    this.#head = 0;
  }

  /** Counts a queued question as settled; clears the places when most are of such. */
  settle(question: Pending): void {
    question.isQueued = false;
    this.#waiting -= 1;
    if (this.#items.length - this.#head > 2 * this.#waiting + 1_024) {
      this.#items = this.#items.slice(this.#head).filter(({ isSettled }) => !isSettled);
      this.#head = 0;
    }
  }

  /** Takes the next questions, up to a number and a size; one alone may be of any size. */
  take(maxCount: number, maxBytes: number): Pending[] {
    const taken: Pending[] = [];
    let bytes = 0;
    while (this.#head < this.#items.length && taken.length < maxCount) {
      const question = this.#items[this.#head] as Pending;
      if (!question.isSettled) {
        bytes += question.question.bytes;
        if (taken.length > 0 && bytes > maxBytes) break;
        question.isQueued = false;
        this.#waiting -= 1;
        taken.push(question);
      }
      this.#head += 1;
    }
    if (this.#head === this.#items.length) this.#items = [];
    else if (this.#head < 8_192) return taken;
    else this.#items = this.#items.slice(this.#head);
    this.#head = 0;
    return taken;
  }

  takeAll(): Pending[] {
    return this.take(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  }
}
