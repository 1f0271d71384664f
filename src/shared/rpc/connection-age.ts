import type { Http2Server, Http2Session } from "node:http2";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { TLSSocket } from "node:tls";
import type { HostLimits } from "./limits.ts";

/** Time that peers get to hear that a connection ends before it takes no more streams, in milliseconds. */
const noticeMs = 1_000;
/** The same when the server drains. */
const drainNoticeMs = 100;

/** GOAWAY without an error and with the highest stream id: length 8, type 7, no flags, stream 0 (RFC 9113 section 6.8). */
const notice = Buffer.from("0000080700000000007fffffff00000000", "hex");

/** Calls a listener with each session of a server, and the socket that it runs on. */
export function onSession(server: Http2Server, listener: (session: Http2Session, socket: Socket) => void): void {
  let socket: Socket;
  // The server makes the session in its own listener, which is called after this one.
  server.prependListener("connection", (opened: Socket) => {
    socket = opened;
  });
  server.on("session", (session) => listener(session, socket));
}

/**
 * Tells a peer to open no more streams, while those that are on their way are still taken. A session that is closed
 * without this notice refuses them, and Envoy does not send a refused check again.
 *
 * Node has no call for it: after `session.goaway`, whatever its stream id, new streams are dropped without a word. The
 * frame is one write to the socket, between the session's, which are of whole frames too.
 */
function announceEnd(session: Http2Session, socket: Socket): void {
  // Node aborts the process when anything but the session writes to a TLS socket. There, peers repeat the calls that are refused.
  if (socket instanceof TLSSocket) return;
  // A closed one has named a last stream already, and may not name a higher one.
  if (!session.closed && socket.writable) socket.write(notice);
}

/** Tells all peers of a server that drains, and gives them a moment to hear of it. */
export async function announceDrain(sessions: ReadonlyMap<Http2Session, Socket>): Promise<void> {
  if (sessions.size === 0) return;
  for (const [session, socket] of sessions) announceEnd(session, socket);
  await sleep(drainNoticeMs);
}

/** Ends a session at its age, give or take a tenth; streams have the grace period to finish. Answers how to stop the clock. */
export function limitAge(session: Http2Session, socket: Socket, limits: HostLimits): () => void {
  const { maxConnectionAgeMs, maxConnectionAgeGraceMs } = limits;
  const destroy = (): void => session.destroy();
  const close = (): void => {
    session.close();
    timer = setTimeout(destroy, maxConnectionAgeGraceMs).unref();
  };
  const announce = (): void => {
    announceEnd(session, socket);
    timer = setTimeout(close, noticeMs).unref();
  };
  let timer = setTimeout(announce, maxConnectionAgeMs * (0.9 + Math.random() * 0.2)).unref();
  return () => clearTimeout(timer);
}
