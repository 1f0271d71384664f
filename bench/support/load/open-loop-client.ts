import { AdaptiveLimit } from "../../../src/shared/resilience/adaptive-limit.ts";
import { GrpcConnection, type GrpcConnectionOptions } from "./grpc-connection.ts";
import type { Outcomes } from "./outcomes.ts";

/**
 * A queue of call numbers, first in first out. The array is compacted now and then, so that neither end costs more than a
 * step.
 */
class Fifo {
  private items: number[] = [];
  private head = 0;

  get first(): number | undefined {
    return this.items[this.head];
  }

  push(item: number): void {
    this.items.push(item);
  }

  shift(): void {
    this.head += 1;
    if (this.head < 4_096) return;
    this.items = this.items.slice(this.head);
    this.head = 0;
  }
}

export interface OpenLoopClientOptions extends GrpcConnectionOptions {
  readonly deadlineMs: number;
  readonly adaptive: boolean;
}

/** One client with one connection: sends what is due, gives up at the deadline, and may hold back what is too much for the server. */
export class OpenLoopClient {
  private connection: GrpcConnection;
  private readonly connect: () => GrpcConnection;
  private readonly outcomes: Outcomes;
  private readonly deadlineMs: number;
  private readonly waiting = new Fifo();
  private inFlight = new Fifo();
  private readonly streams: Uint32Array;
  private readonly limit: AdaptiveLimit | undefined;

  constructor(options: OpenLoopClientOptions, outcomes: Outcomes) {
    this.outcomes = outcomes;
    this.deadlineMs = options.deadlineMs;
    this.limit = options.adaptive ? new AdaptiveLimit(1_000) : undefined;
    this.streams = new Uint32Array(outcomes.due.length);
    this.connect = () =>
      new GrpcConnection(options, {
        answered: (call) => {
          this.limit?.recordAccepted();
          this.limit?.leave();
          outcomes.recordAnswer(call, performance.now());
        },
        refused: (call) => {
          this.backOff(call);
          outcomes.recordRefusal(call);
        },
      });
    this.connection = this.connect();
  }

  /** A call is due. */
  add(call: number, now: number): void {
    if (this.limit?.enter(now) === false) this.outcomes.recordHeldBack(call);
    else this.waiting.push(call);
  }

  /** Sends what may be sent, and gives up what is late. */
  turn(now: number): void {
    if (this.connection.closed) this.reconnect();
    const { connection, outcomes, waiting, inFlight } = this;
    const latest = now - this.deadlineMs;
    for (let call = inFlight.first; call !== undefined && outcomes.due[call]! < latest; call = inFlight.first) {
      if (connection.cancel(this.streams[call]!)) this.expire(call);
      inFlight.shift();
    }
    for (let call = waiting.first; call !== undefined; call = waiting.first) {
      if (outcomes.due[call]! < latest) {
        this.expire(call);
      } else {
        if (!connection.open) break;
        this.streams[call] = connection.send(call);
        outcomes.recordSent(call, now);
        inFlight.push(call);
      }
      waiting.shift();
    }
    connection.flush();
  }

  private expire(call: number): void {
    this.backOff(call);
    this.outcomes.recordExpiry(call);
  }

  private backOff(call: number): void {
    this.limit?.recordRefused(this.outcomes.due[call]!, performance.now());
    this.limit?.leave();
  }

  private reconnect(): void {
    for (const call of this.connection.unsettled) this.expire(call);
    this.inFlight = new Fifo();
    this.connection = this.connect();
  }

  close(): void {
    this.connection.close();
  }
}
