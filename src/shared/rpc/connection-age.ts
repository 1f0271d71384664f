import type { Http2Server, Http2Session } from "node:http2";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { HostLimits } from "./limits.ts";

/** Longest wait for a peer to say that it has heard, in milliseconds. */
const patienceMs = 1_000;

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
 * Tells a peer to open no more streams, and waits until it has heard: what it answers to a ping comes after all streams
 * that were on their way. A session that is closed without this refuses them, and Envoy does not send a refused check again.
 *
 * Node has no call for the notice: after `session.goaway`, whatever its stream id, new streams are dropped without a word.
 * The frame is one write to the socket, between the session's, which are of whole frames too.
 */
function announceEnd(session: Http2Session, socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    // Node aborts the process when anything but the session writes to a TLS socket: there, peers repeat what is refused.
    // A closed one has named a last stream already, and may not name a higher one.
    if (socket instanceof TLSSocket || session.closed || session.destroyed || !socket.writable) {
      resolve();
      return;
    }
    const patience = setTimeout(resolve, patienceMs);
    socket.write(notice);
    session.ping(() => {
      clearTimeout(patience);
      resolve();
    });
  });
}

/** Tells all peers of a server that drains. */
export async function announceDrain(sessions: ReadonlyMap<Http2Session, Socket>): Promise<void> {
  await Promise.all([...sessions].map(([session, socket]) => announceEnd(session, socket)));
}

/** Ends a session at its age, give or take a tenth; streams have the grace period to finish. Answers how to stop the clock. */
export function limitAge(session: Http2Session, socket: Socket, limits: HostLimits): () => void {
  const { maxConnectionAgeMs, maxConnectionAgeGraceMs } = limits;
  let stopped = false;
  const end = async (): Promise<void> => {
    await announceEnd(session, socket);
    if (stopped) return;
    session.close();
    timer = setTimeout(() => session.destroy(), maxConnectionAgeGraceMs).unref();
  };
  let timer = setTimeout(() => void end(), maxConnectionAgeMs * (0.9 + Math.random() * 0.2)).unref();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
