import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Link, openLink } from "./chaos/proxy.ts";

describe("the proxy of chaos", () => {
  let echo: Server;
  let link: Link;
  let socket: Socket;

  before(async () => {
    echo = createServer((peer) => peer.on("error", () => undefined).pipe(peer)).listen(0, "127.0.0.1");
    await once(echo, "listening");
  });
  after(() => echo.close());
  beforeEach(async () => {
    link = await openLink((echo.address() as { port: number }).port);
    socket = await dial();
  });
  afterEach(async () => {
    socket.destroy();
    await link.close();
  });

  async function dial(): Promise<Socket> {
    const dialled = connect(link.port, "127.0.0.1");
    dialled.on("error", () => undefined);
    await once(dialled, "connect");
    return dialled;
  }

  /** Waits for the end of a connection, however it comes. */
  async function closing(ending: Socket): Promise<void> {
    await new Promise<void>((resolve) => ending.once("close", () => resolve()));
  }

  /** How long an echo takes, in milliseconds; undefined when none comes within a while. */
  async function echoMs(bytes = 1): Promise<number | undefined> {
    const start = performance.now();
    socket.write(Buffer.alloc(bytes));
    for (let got = 0; got < bytes; ) {
      const data = await Promise.race([once(socket, "data"), sleep(800)]);
      if (data === undefined) return undefined;
      got += (data[0] as Buffer).length;
    }
    return performance.now() - start;
  }

  it("passes everything, in order, when open", async () => {
    const sent = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251));
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.write(sent);
    while (chunks.reduce((sum, { length }) => sum + length, 0) < sent.length) await once(socket, "data");
    assert.ok(Buffer.concat(chunks).equals(sent));
  });

  it("delays each way, connections that are open included", async () => {
    link.set({ kind: "slow", delayMs: 100 });
    assert.ok((await echoMs())! >= 195);
    link.set({ kind: "open" });
    assert.ok((await echoMs()) !== undefined);
  });

  it("throttles", async () => {
    link.set({ kind: "throttled", bytesPerSecond: 100_000 });
    assert.ok((await echoMs(50_000))! >= 250);
  });

  it("keeps connections and passes nothing when half-open, and ends them afterwards", async () => {
    link.set({ kind: "half-open" });
    assert.equal(await echoMs(), undefined);
    assert.equal(socket.destroyed, false);
    const closed = closing(socket);
    link.set({ kind: "open" });
    await closed;
    socket = await dial();
    assert.ok((await echoMs()) !== undefined);
  });

  it("resets connections when cut, and refuses new ones", async () => {
    const closed = closing(socket);
    link.set({ kind: "cut" });
    await closed;
    socket = connect(link.port, "127.0.0.1");
    socket.on("error", () => undefined);
    await closing(socket);
    link.set({ kind: "open" });
    socket = await dial();
    assert.ok((await echoMs()) !== undefined);
  });
});
