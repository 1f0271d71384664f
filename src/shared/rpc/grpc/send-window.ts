/** Bytes given to HTTP/2 but not yet sent, beyond which a stream's peer counts as slow… */
const highWaterBytes = 256 * 1024;
/** …until no more than these are left. */
const lowWaterBytes = 64 * 1024;

/** Counts what a stream has given to HTTP/2 but flow control has not let through yet. */
export class SendWindow {
  private readonly sizes: number[] = [];
  private readonly becameWritable: () => void;
  private unsentBytes = 0;
  private slow = false;

  constructor(becameWritable: () => void) {
    this.becameWritable = becameWritable;
  }

  /** Counts a message; false when the peer is slow, and `becameWritable` follows. */
  add(bytes: number): boolean {
    this.sizes.push(bytes);
    this.unsentBytes += bytes;
    if (this.unsentBytes >= highWaterBytes) this.slow = true;
    return !this.slow;
  }

  /** The oldest message has been sent. */
  readonly onSent = (): void => {
    this.unsentBytes -= this.sizes.shift() ?? 0;
    if (!this.slow || this.unsentBytes > lowWaterBytes) return;
    this.slow = false;
    this.becameWritable();
  };
}
