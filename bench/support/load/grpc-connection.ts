import { connect, type Socket } from "node:net";
import { requestBlock } from "./hpack.ts";

// Frame types, flags and settings of RFC 9113.
const frame = { data: 0, headers: 1, rstStream: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 } as const;
const flag = { ack: 1, endStream: 1, endHeaders: 4 } as const;
const setting = { headerTableSize: 1, enablePush: 2, maxConcurrentStreams: 3, initialWindowSize: 4 } as const;

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const wideWindow = 0x7fff_ffff;
const cancelCode = 8;

/** What becomes of a call. `callId` is the number that was given to `send`. */
export interface CallListener {
  /** The call has an answer with a message, which a refusal never has. */
  answered(callId: number): void;
  /** The call was refused. */
  refused(callId: number): void;
}

export interface GrpcConnectionOptions {
  readonly host: string;
  readonly port: number;
  /** For example `/gatehouse.policy.v1.PolicyService/Evaluate`. */
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  /** The encoded request, the same for every call. */
  readonly message: Uint8Array;
}

/**
 * The client's end of one HTTP/2 connection that makes the same unary gRPC call over and over, from bytes made once, for a few
 * microseconds a call: a load generator must not wait for itself. It keeps to the server's bounds of streams and of the
 * connection's window.
 */
export class GrpcConnection {
  private readonly socket: Socket;
  private readonly listener: CallListener;
  private readonly first: Buffer;
  private readonly template: Buffer;
  private readonly messageLength: number;
  private output = Buffer.allocUnsafe(256 * 1024);
  private used = 0;
  private pending: Buffer = Buffer.alloc(0);
  private nextStream = 1;
  private maxStreams = 100;
  private window = 65_535;
  private received = 0;
  private readonly calls = new Map<number, number>();
  private readonly withMessage = new Set<number>();
  /** Whether the server has ended the connection, or asked to. */
  closed = false;

  constructor(options: GrpcConnectionOptions, listener: CallListener) {
    this.listener = listener;
    const { first, again } = requestBlock([
      [":method", "POST"],
      [":scheme", "http"],
      [":path", options.path],
      [":authority", `${options.host}:${options.port}`],
      ["content-type", "application/grpc"],
      ["te", "trailers"],
      ...options.headers,
    ]);
    this.messageLength = options.message.length + 5;
    this.first = requestFrames(first, options.message);
    this.template = requestFrames(again, options.message);
    this.socket = connect({ host: options.host, port: options.port, noDelay: true });
    this.socket.on("data", (chunk) => this.receive(chunk));
    this.socket.on("close", () => (this.closed = true));
    this.socket.on("error", () => (this.closed = true));
    this.put(preface);
    this.putFrame(
      frame.settings,
      0,
      0,
      settings([
        [setting.headerTableSize, 0],
        [setting.enablePush, 0],
        [setting.initialWindowSize, wideWindow],
      ]),
    );
    this.putWindowUpdate(wideWindow - 65_535);
  }

  /** Whether the server's bounds leave room for one more call. */
  get open(): boolean {
    return !this.closed && this.calls.size < this.maxStreams && this.window >= this.messageLength;
  }

  /** Calls that have neither been answered nor refused nor given up. */
  get unsettled(): Iterable<number> {
    return this.calls.values();
  }

  /** Begins a call, and answers its stream; `flush` sends it. */
  send(callId: number): number {
    const stream = this.nextStream;
    const bytes = stream === 1 ? this.first : this.template;
    this.put(bytes);
    const at = this.used - bytes.length;
    this.output.writeUInt32BE(stream, at + 5);
    this.output.writeUInt32BE(stream, at + bytes.length - this.messageLength - 4);
    this.nextStream += 2;
    this.window -= this.messageLength;
    this.calls.set(stream, callId);
    return stream;
  }

  /** Gives up a call, as a client does at its deadline. False when it is over already. */
  cancel(stream: number): boolean {
    if (!this.calls.delete(stream)) return false;
    this.withMessage.delete(stream);
    this.putFrame(frame.rstStream, 0, stream, uint32(cancelCode));
    return true;
  }

  /** Sends what has been begun. */
  flush(): void {
    if (this.used === 0) return;
    this.socket.write(Buffer.from(this.output.subarray(0, this.used)));
    this.used = 0;
  }

  close(): void {
    this.socket.destroy();
  }

  private receive(chunk: Buffer): void {
    const bytes = this.pending.length === 0 ? chunk : Buffer.concat([this.pending, chunk]);
    let at = 0;
    while (bytes.length - at >= 9) {
      const length = bytes.readUIntBE(at, 3);
      if (bytes.length - at - 9 < length) break;
      const stream = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
      this.receiveFrame(bytes[at + 3]!, bytes[at + 4]!, stream, bytes.subarray(at + 9, at + 9 + length));
      at += 9 + length;
    }
    this.pending = at === bytes.length ? Buffer.alloc(0) : bytes.subarray(at);
    this.flush();
  }

  private receiveFrame(type: number, flags: number, stream: number, payload: Buffer): void {
    switch (type) {
      case frame.data:
        this.received += payload.length;
        if (this.calls.has(stream)) this.withMessage.add(stream);
        if (this.received > 1_000_000) {
          this.putWindowUpdate(this.received);
          this.received = 0;
        }
        break;
      case frame.headers:
        if ((flags & flag.endStream) !== 0) this.end(stream);
        break;
      case frame.rstStream:
        this.end(stream);
        break;
      case frame.settings:
        if ((flags & flag.ack) === 0) this.applySettings(payload);
        break;
      case frame.ping:
        if ((flags & flag.ack) === 0) this.putFrame(frame.ping, flag.ack, 0, payload);
        break;
      case frame.windowUpdate:
        if (stream === 0) this.window += payload.readUInt32BE(0);
        break;
      case frame.goAway:
        this.closed = true;
        break;
    }
  }

  private end(stream: number): void {
    const callId = this.calls.get(stream);
    if (callId === undefined) return;
    this.calls.delete(stream);
    if (this.withMessage.delete(stream)) this.listener.answered(callId);
    else this.listener.refused(callId);
  }

  private applySettings(payload: Buffer): void {
    for (let at = 0; at < payload.length; at += 6) {
      if (payload.readUInt16BE(at) === setting.maxConcurrentStreams) this.maxStreams = payload.readUInt32BE(at + 2);
    }
    this.putFrame(frame.settings, flag.ack, 0, Buffer.alloc(0));
  }

  private putWindowUpdate(bytes: number): void {
    this.putFrame(frame.windowUpdate, 0, 0, uint32(bytes));
  }

  private putFrame(type: number, flags: number, stream: number, payload: Buffer): void {
    this.put(frameHeader(payload.length, type, flags, stream));
    this.put(payload);
  }

  private put(bytes: Buffer): void {
    if (this.used + bytes.length > this.output.length) this.flush();
    bytes.copy(this.output, this.used);
    this.used += bytes.length;
  }
}

/** HEADERS and DATA of one call, on stream 0 until it is sent. */
function requestFrames(block: Buffer, message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([
    frameHeader(block.length, frame.headers, flag.endHeaders, 0),
    block,
    frameHeader(message.length + 5, frame.data, flag.endStream, 0),
    prefix,
    message,
  ]);
}

function frameHeader(length: number, type: number, flags: number, stream: number): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return header;
}

function settings(pairs: readonly (readonly [number, number])[]): Buffer {
  const payload = Buffer.alloc(pairs.length * 6);
  for (const [index, [id, value]] of pairs.entries()) {
    payload.writeUInt16BE(id, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  }
  return payload;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
