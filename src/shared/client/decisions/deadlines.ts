/** Things that end at the same time; a place is empty once its thing is settled. */
export type Bucket = (Expiring | undefined)[];

/** Something that must be over by a time. */
export interface Expiring {
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  /** Its bucket and its place in there, which `Deadlines` gives it. */
  bucket: Bucket | undefined;
  bucketIndex: number;
  expire(): void;
}

/**
 * Ends things at their deadlines with one timer for all of them.
 *
 * Those of the same millisecond share a bucket, and the buckets' times are a binary heap, so that adding a thing costs
 * next to nothing. A thing that is settled leaves its place at once, or each would live for its whole time and the
 * garbage collector would take a third of the processor; the empty place stays until then.
 */
export class Deadlines {
  readonly #buckets = new Map<number, Bucket>();
  readonly #times: number[] = [];
  #timer: NodeJS.Timeout | undefined;

  add(item: Expiring): void {
    const at = Math.floor(item.deadline);
    const bucket = this.#buckets.get(at);
    if (bucket !== undefined) {
      item.bucket = bucket;
      item.bucketIndex = bucket.push(item) - 1;
      return;
    }
    item.bucket = [item];
    item.bucketIndex = 0;
    this.#buckets.set(at, item.bucket);
    this.#push(at);
    if (this.#times[0] === at) this.#arm(at);
  }

  /** Lets go of a thing that is settled. */
  remove(item: Expiring): void {
    if (item.bucket !== undefined) item.bucket[item.bucketIndex] = undefined;
    item.bucket = undefined;
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#buckets.clear();
    this.#times.length = 0;
  }

  #arm(at: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#expire(), Math.max(0, at - Date.now()));
  }

  #expire(): void {
    const now = Date.now();
    for (let at = this.#times[0]; at !== undefined && at <= now; at = this.#times[0]) {
      this.#pop();
      const due = this.#buckets.get(at) ?? [];
      this.#buckets.delete(at);
      for (const item of due) item?.expire();
    }
    const [next] = this.#times;
    if (next !== undefined) this.#arm(next);
  }

  #push(time: number): void {
    const times = this.#times;
    let at = times.push(time) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((times[parent] as number) <= time) break;
      times[at] = times[parent] as number;
      at = parent;
    }
    times[at] = time;
  }

  #pop(): void {
    const times = this.#times;
    const last = times.pop();
    if (last === undefined || times.length === 0) return;
    let at = 0;
    for (;;) {
      let least = 2 * at + 1;
      if (least >= times.length) break;
      if (least + 1 < times.length && (times[least + 1] as number) < (times[least] as number)) least += 1;
      if ((times[least] as number) >= last) break;
      times[at] = times[least] as number;
      at = least;
    }
    times[at] = last;
  }
}
