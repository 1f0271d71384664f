/** A line that is taken from at both ends. */
export class Deque<T> {
  private items: T[] = [];
  private head = 0;

  get length(): number {
    return this.items.length - this.head;
  }

  /** The one that came first. */
  get oldest(): T | undefined {
    return this.items[this.head];
  }

  push(item: T): void {
    this.items.push(item);
  }

  takeOldest(): T | undefined {
    if (this.head === this.items.length) return undefined;
    const item = this.items[this.head]!;
    // Not held for longer than it is in the line.
    this.items[this.head] = undefined as T;
    this.head += 1;
    if (this.head === this.items.length) this.clear();
    else if (this.head === 1_024) this.compact();
    return item;
  }

  takeNewest(): T | undefined {
    if (this.head === this.items.length) return undefined;
    const item = this.items.pop();
    if (this.head === this.items.length) this.clear();
    return item;
  }

  private clear(): void {
    this.items.length = 0;
    this.head = 0;
  }

  private compact(): void {
    this.items.splice(0, this.head);
    this.head = 0;
  }
}
