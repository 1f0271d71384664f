import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** How a link treats what passes over it. */
export type LinkState =
  | { readonly kind: "open" }
  /** Refuses and closes connections. */
  | { readonly kind: "cut" }
  /** Accepts connections and keeps them, and nothing passes: a peer that vanished without a word. */
  | { readonly kind: "half-open" }
  /** Passes everything so much later, each way. */
  | { readonly kind: "slow"; readonly delayMs: number }
  /** Passes so many bytes a second, each way. */
  | { readonly kind: "throttled"; readonly bytesPerSecond: number };

/** A TCP proxy on loopback that can be told to misbehave. */
export interface Link {
  readonly port: number;
  /** Changes how it treats its connections, those that are open included. */
  set(state: LinkState): void;
  /** Ends every connection by a reset, without a farewell. */
  reset(): void;
  close(): Promise<void>;
}

/** Opens a proxy towards a port of loopback. */
export async function openLink(targetPort: number): Promise<Link> {
  let state: LinkState = { kind: "open" };
  const sockets = new Set<Socket>();
  const flows = new Set<Flow>();

  const server = createServer({ pauseOnConnect: true }, (client) => {
    if (state.kind === "cut") return void client.resetAndDestroy();
    const upstream = connect(targetPort, "127.0.0.1");
    const pair = [client, upstream];
    const [there, back] = [new Flow(client, upstream, () => state), new Flow(upstream, client, () => state)];
    for (const flow of [there, back]) flows.add(flow);
    const end = (): void => {
      for (const flow of [there, back]) {
        flow.close();
        flows.delete(flow);
      }
      for (const socket of pair) {
        sockets.delete(socket);
        socket.destroy();
      }
    };
    for (const socket of pair) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", end).on("close", end);
    }
    client.resume();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the system gave no port");
  const { port } = address;

  function reset(): void {
    for (const socket of [...sockets]) if (!socket.destroyed) socket.resetAndDestroy();
  }

  return {
    port,
    reset,
    set(next) {
      const was = state.kind;
      state = next;
      if (next.kind === "cut") reset();
      // What a vanished peer never got stays lost: its connections are dead.
      else if (was === "half-open") reset();
      else for (const flow of flows) flow.kick();
    },
    async close() {
      server.close();
      reset();
      await once(server, "close");
    },
  };
}

/** Largest piece that is passed at once. */
const pieceBytes = 16_384;

/** One direction of a connection. */
class Flow {
  readonly #queue: { readonly bytes: Buffer; readonly at: number }[] = [];
  readonly #to: Socket;
  readonly #state: () => LinkState;
  #freeAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, state: () => LinkState) {
    this.#to = to;
    this.#state = state;
    from.on("data", (bytes: Buffer) => {
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        this.#queue.push({ bytes: bytes.subarray(at, at + pieceBytes), at: performance.now() });
      }
      this.kick();
    });
  }

  /** Passes what is due, and comes back when more is. */
  kick(): void {
    clearTimeout(this.#timer);
    for (let [next] = this.#queue; next !== undefined; [next] = this.#queue) {
      const waitMs = this.#dueAt(next.at) - performance.now();
      if (waitMs === Number.POSITIVE_INFINITY) return;
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.kick(), waitMs);
        return;
      }
      this.#queue.shift();
      const state = this.#state();
      if (state.kind === "throttled") {
        this.#freeAt = performance.now() + (next.bytes.length / state.bytesPerSecond) * 1_000;
      }
      if (!this.#to.destroyed) this.#to.write(next.bytes);
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#queue.length = 0;
  }

  #dueAt(arrived: number): number {
    const state = this.#state();
    switch (state.kind) {
      case "slow":
        return arrived + state.delayMs;
      case "throttled":
        return this.#freeAt;
      case "half-open":
        return Number.POSITIVE_INFINITY;
      default:
        return 0;
    }
  }
}
