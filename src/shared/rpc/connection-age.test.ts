import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, it } from "node:test";
import { startTestHost, type TestHost } from "./testing/test-host.ts";

const types = { data: 0, headers: 1, reset: 3, settings: 4, goaway: 7 } as const;

interface Frame {
  readonly type: number;
  readonly stream: number;
  readonly payload: Buffer;
}

function encode(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** HPACK literals without indexing (RFC 7541 section 6.2.2). */
function headerBlock(fields: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(
    Object.entries(fields).map(([name, value]) =>
      Buffer.concat([
        Buffer.from([0, name.length]),
        Buffer.from(name),
        Buffer.from([value.length]),
        Buffer.from(value),
      ]),
    ),
  );
}

/** A connection that sends what it is told, as a proxy does that has not yet heard what the server said. */
async function openConnection(port: number): Promise<{ socket: Socket; next(wanted: number): Promise<Frame> }> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  socket.write(encode(types.settings, 0, 0, Buffer.alloc(0)));
  const frames: Frame[] = [];
  let rest = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      const end = 9 + rest.readUIntBE(0, 3);
      frames.push({ type: rest[3] ?? -1, stream: rest.readUInt32BE(5), payload: rest.subarray(9, end) });
      rest = rest.subarray(end);
    }
    socket.emit("frames");
  });
  return {
    socket,
    async next(wanted) {
      for (;;) {
        const index = frames.findIndex(({ type }) => type === wanted || type === types.reset);
        if (index !== -1) return frames.splice(index, 1)[0] as Frame;
        await once(socket, "frames", { signal: AbortSignal.timeout(5_000) });
      }
    },
  };
}

const call = Buffer.concat([
  encode(
    types.headers,
    0x4,
    1,
    headerBlock({
      ":method": "POST",
      ":scheme": "http",
      ":authority": "localhost",
      ":path": "/grpc.health.v1.Health/Check",
      "content-type": "application/grpc",
      te: "trailers",
    }),
  ),
  encode(types.data, 0x1, 1, Buffer.alloc(5)),
]);

const doors: Readonly<Record<string, (host: TestHost) => number>> = {
  "the gRPC port": ({ grpcPort }) => grpcPort,
  "the edge": ({ httpPort }) => httpPort,
};

for (const [door, portOf] of Object.entries(doors)) {
  describe(`a connection of ${door} that is too old`, () => {
    it("is told to end, takes a call that was on its way, and then ends", async () => {
      const host = await startTestHost({ maxConnectionAgeMs: 100, maxConnectionAgeGraceMs: 5_000 });
      const { socket, next } = await openConnection(portOf(host));
      const { payload } = await next(types.goaway);
      assert.equal(payload.readUInt32BE(0), 2 ** 31 - 1, "no stream is shut out yet");
      assert.equal(payload.readUInt32BE(4), 0, "NO_ERROR");
      socket.write(call);
      const answer = await next(types.headers);
      assert.deepEqual([answer.type, answer.stream], [types.headers, 1]);
      const final = await next(types.goaway);
      assert.equal(final.payload.readUInt32BE(0), 1, "the last stream that was taken");
      socket.resume();
      await once(socket, "close");
      await host.stop();
    });
  });
}
