/** How often to look, in milliseconds. */
const probeMs = 10;
/** How many times in a row the loop is late when it is not just one long piece of work. */
const lasting = 3;

/** Watches how late the event loop is, by a timer that should come every 10 ms. */
export class LoopLag {
  /** How late the timer came last, in milliseconds. */
  ms = 0;
  private lateInARow = 0;
  private dueAt: number = performance.now() + probeMs;
  private readonly timer: NodeJS.Timeout;

  /**
   * @param lateMs From when on the loop counts as late, in milliseconds.
   * @param onProbe Called each time, with `performance.now()`.
   */
  constructor(lateMs: number, onProbe: (now: number) => void) {
    this.timer = setInterval(() => {
      const now = performance.now();
      this.ms = Math.max(0, now - this.dueAt);
      this.dueAt = now + probeMs;
      this.lateInARow = this.ms > lateMs ? this.lateInARow + 1 : 0;
      onProbe(now);
    }, probeMs).unref();
  }

  /** Whether the loop has been late for several turns. */
  get isLasting(): boolean {
    return this.lateInARow >= lasting;
  }

  close(): void {
    clearInterval(this.timer);
  }
}
