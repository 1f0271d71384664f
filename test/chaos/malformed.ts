import { once } from "node:events";
import { connect } from "node:net";
import { frame, rawGrpc } from "../../src/shared/rpc/testing/raw-grpc.ts";
import type { Random } from "./random.ts";

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** An HTTP/2 frame (RFC 9113, section 4.1), whatever it says. */
function http2Frame(type: number, flags: number, stream: number, payload: Buffer, length = payload.length): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Frames that break the rules, each in its own way. */
const http2Makers: readonly ((random: Random) => Buffer)[] = [
  // Anything at all.
  (random) =>
    http2Frame(
      random.between(0, 255),
      random.between(0, 255),
      random.between(0, 2 ** 31),
      random.bytes(random.between(0, 60)),
    ),
  // A header block that is not HPACK.
  (random) =>
    http2Frame(
      1,
      0x4 | (random.chance(0.5) ? 1 : 0),
      2 * random.between(0, 9) + 1,
      random.bytes(random.between(1, 60)),
    ),
  // Longer than it says, or than allowed.
  (random) => http2Frame(0, 0, 1, random.bytes(10), random.oneOf([0, 11, 20_000, 0xffffff])),
  // CONTINUATION without HEADERS.
  (random) => http2Frame(9, 0, random.between(0, 9), random.bytes(8)),
  // SETTINGS of a wrong size, or with absurd values.
  (random) => http2Frame(4, random.between(0, 1), 0, random.bytes(random.oneOf([1, 5, 6, 12]))),
  // A window that overflows, or does not grow.
  (random) =>
    http2Frame(
      8,
      0,
      random.oneOf([0, 1, 3]),
      random.oneOf([Buffer.alloc(4), Buffer.from([0x7f, 0xff, 0xff, 0xff]), random.bytes(3)]),
    ),
  // A request that is reset at once (CVE-2023-44487), whose headers begin well.
  (random) => {
    const stream = 2 * random.between(0, 30) + 1;
    return Buffer.concat([
      http2Frame(1, 0x5, stream, Buffer.from([0x83, 0x86, 0x84])),
      http2Frame(3, 0, stream, Buffer.alloc(4)),
    ]);
  },
  // PING of any size.
  (random) => http2Frame(6, 0, random.oneOf([0, 0, 5]), random.bytes(random.oneOf([8, 8, 7]))),
  // PRIORITY on itself, GOAWAY cut short.
  (random) => random.oneOf([http2Frame(2, 0, 3, Buffer.from([0, 0, 0, 3, 255])), http2Frame(7, 0, 0, random.bytes(3))]),
];

/** Sends frames over one connection until the server has had enough. Answers how many were sent. */
async function sendHttp2(port: number, frames: readonly Buffer[]): Promise<number> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.resume();
  await once(socket, "connect").catch(() => undefined);
  socket.write(Buffer.concat([preface, http2Frame(4, 0, 0, Buffer.alloc(0))]));
  let sent = 0;
  for (const bytes of frames) {
    if (socket.destroyed || !socket.writable) break;
    socket.write(bytes);
    sent += 1;
    await new Promise(setImmediate);
  }
  socket.destroy();
  return sent;
}

const paths = [
  "/gatehouse.auth.v1.AuthService/Authorize",
  "/gatehouse.policy.v1.PolicyService/Evaluate",
  "/gatehouse.policy.v1.PolicyService/EvaluateStream",
  "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
  "/no.such.Service/Method",
  "/",
] as const;

/** A gRPC call with a body that no client library would send. */
async function sendGrpc(port: number, random: Random): Promise<void> {
  const body = random.bytes(random.between(0, 200));
  const bodies = random.oneOf<Buffer[]>([
    [frame(body)],
    [frame(body, 1)],
    [frame(body, 255)],
    [frame(body).subarray(0, random.between(0, 6))],
    [Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), body],
    [frame(body), frame(body), body],
    [body],
    [],
  ]);
  const headers = random.oneOf<Record<string, string>>([
    {},
    { "grpc-timeout": random.oneOf(["1S", "0n", "-1S", "99999999H", "1", "x"]) },
    { "grpc-encoding": random.oneOf(["gzip", "br", ""]) },
    { "content-type": random.oneOf(["application/grpc+json", "text/plain", "application/json"]) },
    { authorization: `Bearer ${random.bytes(20).toString("hex")}` },
  ]);
  await Promise.race([
    rawGrpc(port, random.oneOf(paths), bodies, headers).catch(() => undefined),
    new Promise((resolve) => setTimeout(resolve, 2_000)),
  ]);
}

/** Sends malformed frames and calls to a port for a time. Answers how many of both. */
export async function sendMalformed(port: number, random: Random, untilMs: number): Promise<number> {
  let sent = 0;
  while (performance.now() < untilMs) {
    const frames = Array.from({ length: 60 }, () => random.oneOf(http2Makers)(random));
    sent += await sendHttp2(port, frames);
    await Promise.all(Array.from({ length: 4 }, () => sendGrpc(port, random)));
    sent += 4;
  }
  return sent;
}
