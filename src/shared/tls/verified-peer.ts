import type { Http2Session } from "node:http2";
import type { Socket } from "node:net";

/** Who is at the other end of a connection, by a certificate that has been verified. */
export interface VerifiedPeer {
  /** SPIFFE id, if the certificate carries one. */
  readonly spiffeId: string | undefined;
}

const verifiedPeer = Symbol("verified peer");

type MarkedSocket = Socket & { [verifiedPeer]?: VerifiedPeer };

/** Marks a connection. A property, because HTTP/2 shows its sockets only through proxies. */
export function setVerifiedPeer(socket: Socket, peer: VerifiedPeer): void {
  (socket as MarkedSocket)[verifiedPeer] = peer;
}

/** The peer of a connection; none in plain text or without a certificate. */
export function verifiedPeerOf(socket: Socket): VerifiedPeer | undefined {
  return (socket as MarkedSocket)[verifiedPeer];
}

/** Peers of HTTP/2 sessions; an answer for each, so that the socket's proxy is asked once. */
const bySession = new WeakMap<Http2Session, VerifiedPeer>();
const nobody: VerifiedPeer = { spiffeId: undefined };

/** The SPIFFE id of the peer of an HTTP/2 session. */
export function spiffeIdOfSession(session: Http2Session | undefined): string | undefined {
  if (session === undefined) return undefined;
  let peer = bySession.get(session);
  if (peer === undefined) {
    // A session that is destroyed has let go of its socket, and of its peer.
    peer = (session.destroyed ? undefined : verifiedPeerOf(session.socket)) ?? nobody;
    bySession.set(session, peer);
  }
  return peer.spiffeId;
}
