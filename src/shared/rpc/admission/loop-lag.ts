const probeMs = 10;

/** Watches how late the event loop is, by a timer that should come every 10 ms. */
export class LoopLag {
  /** How late the loop was last, in milliseconds. */
  ms = 0;
  private dueAt = performance.now() + probeMs;
  private readonly timer: NodeJS.Timeout;

  /** @param onProbe Called each time, with `performance.now()`. */
  constructor(onProbe: (now: number) => void) {
    this.timer = setInterval(() => {
      const now = performance.now();
      this.ms = Math.max(0, now - this.dueAt);
      this.dueAt = now + probeMs;
      onProbe(now);
    }, probeMs).unref();
  }

  close(): void {
    clearInterval(this.timer);
  }
}
