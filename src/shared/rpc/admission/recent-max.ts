/** The largest of the values seen lately: those of the last one to two windows. Reading it changes nothing, so any number may read. */
export class RecentMax {
  private readonly windowMs: number;
  private windowEnd = 0;
  private current = 0;
  private previous = 0;

  constructor(windowMs: number) {
    this.windowMs = windowMs;
  }

  record(value: number, now: number): void {
    if (now > this.windowEnd) {
      this.previous = now > this.windowEnd + this.windowMs ? 0 : this.current;
      this.current = 0;
      this.windowEnd = now + this.windowMs;
    }
    if (value > this.current) this.current = value;
  }

  get value(): number {
    return Math.max(this.current, this.previous);
  }
}
