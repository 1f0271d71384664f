import type { ServerHttp2Stream } from "node:http2";

/** Time for a peer to see an early answer and stop by itself, in milliseconds. */
const patienceMs = 500;

/**
 * Sees to a stream whose answer came before the end of its request, such as that to an oversized message: after a while its
 * peer is told to send no more (RFC 9113 section 8.1), which otherwise could keep the stream, and a drain, waiting for good.
 */
export function closeHalfOpen(stream: ServerHttp2Stream): void {
  if (stream.readableEnded) return;
  setTimeout(() => stream.destroy(), patienceMs).unref();
}
