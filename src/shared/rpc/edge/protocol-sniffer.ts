import type { Socket } from "node:net";

/** What every HTTP/2 connection begins with (RFC 9113 section 3.4); no HTTP/1.1 request can begin so. */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/**
 * Waits for the first bytes of a connection and hands it on, bytes included, to the server of its protocol.
 * A connection that stays silent, or stops within the preface, is closed after `timeoutMs`.
 */
export function sniffProtocol(
  socket: Socket,
  timeoutMs: number,
  servers: { readonly http1: (socket: Socket) => void; readonly http2: (socket: Socket) => void },
): void {
  const timer = setTimeout(() => socket.destroy(), timeoutMs);
  socket.once("close", () => clearTimeout(timer));
  let seen: Buffer = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const length = Math.min(seen.length, preface.length);
    const isPrefix = seen.compare(preface, 0, length, 0, length) === 0;
    if (isPrefix && length < preface.length) return;
    clearTimeout(timer);
    socket.off("data", onData);
    socket.pause();
    socket.unshift(seen);
    (isPrefix ? servers.http2 : servers.http1)(socket);
    if (!isPrefix) socket.resume();
  };
  socket.on("data", onData);
}
