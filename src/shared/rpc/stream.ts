import type { DescMethod, Message } from "@bufbuild/protobuf";
import type { BidiCall } from "./handler.ts";

/** What a door does for the streams that come through it. */
export interface StreamTransport {
  /** Asks for one more frame, to be answered by `receive` or `receiveEnd`, at once or later. */
  read(): void;
  /** Sends a frame; false when the peer is slow, and `becameWritable` follows. */
  write(frame: Message): boolean;
  /** Ends the stream, well or with an error. */
  finish(error: unknown): void;
}

/** A stream as its handler sees it. Keeps at most one read outstanding, so that a paused handler pauses its peer. */
export class Stream implements BidiCall<DescMethod> {
  private readonly transport: StreamTransport;
  private frameListener: ((frame: Message) => void) | undefined = undefined;
  private endListener: (() => void) | undefined = undefined;
  private closeListener: (() => void) | undefined = undefined;
  private writableListener: (() => void) | undefined = undefined;
  private paused = false;
  private reading = false;
  private pumping = false;
  private inputEnded = false;
  private over = false;

  constructor(transport: StreamTransport) {
    this.transport = transport;
  }

  onFrame(listener: (frame: Message) => void): void {
    this.frameListener = listener;
    this.pump();
  }

  onEnd(listener: () => void): void {
    this.endListener = listener;
  }

  onClose(listener: () => void): void {
    this.closeListener = listener;
  }

  onWritable(listener: () => void): void {
    this.writableListener = listener;
  }

  send(frame: Message): boolean {
    return this.over || this.transport.write(frame);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.pump();
  }

  end(error?: unknown): void {
    if (!this.over) this.transport.finish(error);
  }

  /** For the door: the frame that was asked for. */
  receive(frame: Message): void {
    this.reading = false;
    if (this.over) return;
    try {
      this.frameListener?.(frame);
    } catch (error) {
      this.end(error);
    }
    this.pump();
  }

  /** For the door: the caller sends no more frames. */
  receiveEnd(): void {
    this.inputEnded = true;
    if (this.over) return;
    try {
      this.endListener?.();
    } catch (error) {
      this.end(error);
    }
  }

  /** For the door: there is room again after `write` answered false. */
  becameWritable(): void {
    if (!this.over) this.writableListener?.();
  }

  /** For the door: the stream is over. */
  close(): void {
    if (this.over) return;
    this.over = true;
    this.closeListener?.();
  }

  /** Reads until a frame has to be waited for. A loop, because a frame that is there already is received within `read`. */
  private pump(): void {
    if (this.pumping) return;
    this.pumping = true;
    while (!this.reading && !this.paused && !this.inputEnded && !this.over && this.frameListener !== undefined) {
      this.reading = true;
      this.transport.read();
    }
    this.pumping = false;
  }
}
