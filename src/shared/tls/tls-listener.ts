import { constants } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type SecureContextOptions, type TLSSocket } from "node:tls";
import type { Logger } from "pino";
import type { CertificateWatch } from "./certificate-watch.ts";
import type { Certificates } from "./certificates.ts";
import { isListed, spiffeIdOf } from "./spiffe.ts";
import type { TlsMetrics } from "./tls-metrics.ts";
import { setVerifiedPeer } from "./verified-peer.ts";

/** TLS of the ports of a host. */
export interface ServerTls {
  readonly certificates: CertificateWatch;
  /** Whether clients must have a certificate. */
  readonly clientRequired: { readonly grpc: boolean; readonly edge: boolean };
  /** SPIFFE ids, or beginnings that end with `/`; when there are any, a client's certificate must carry one of them. */
  readonly spiffeAllow: readonly string[];
  readonly metrics: TlsMetrics;
  readonly logger: Logger;
}

/** What a port speaks above TLS, and whether the handshake demands a certificate. */
export interface TlsListenerOptions {
  readonly protocols: readonly string[];
  readonly demandsCertificate: boolean;
}

/** Time for a handshake, in milliseconds. */
const handshakeTimeoutMs = 10_000;

/** Those with forward secrecy and authenticated encryption: of TLS 1.3 all, of TLS 1.2 those that HTTP/2 permits (RFC 9113 section 9.2.2). */
const ciphers = [
  ...["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"],
  ...["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"],
  ...["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"],
  ...["ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"],
].join(":");

/**
 * A server that hands on its connections: in plain text without `tls`, otherwise once the handshake is done and the
 * client's certificate, if it sent one, is verified and its SPIFFE id is on the list. New certificates serve new
 * connections; those that there are live on.
 */
export function createListener(
  tls: ServerTls | undefined,
  { protocols, demandsCertificate }: TlsListenerOptions,
  onConnection: (socket: Socket) => void,
): Server {
  if (tls === undefined) return createServer({ noDelay: true }, onConnection);
  const { certificates, metrics } = tls;
  const server = createTlsServer(
    {
      ...contextOptions(certificates.current),
      noDelay: true,
      handshakeTimeout: handshakeTimeoutMs,
      ALPNProtocols: [...protocols],
      requestCert: certificates.current.ca !== undefined,
      rejectUnauthorized: demandsCertificate,
    },
    (socket) => {
      if (admit(socket, tls)) onConnection(socket);
      else socket.destroy();
    },
  );
  server.on("tlsClientError", () => metrics.handshakeRefused("handshake"));
  const stop = certificates.onChange((changed) => server.setSecureContext(contextOptions(changed)));
  server.once("close", stop);
  return server;
}

function contextOptions({ identity, ca }: Certificates): SecureContextOptions {
  return {
    ...(identity && { cert: identity.cert, key: identity.key }),
    ...(ca && { ca: ca.certs }),
    minVersion: "TLSv1.2",
    ciphers,
    honorCipherOrder: true,
    // A session that is resumed would be held to the authorities of the time when it began; renegotiation could change the peer.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  };
}

/** Whether a connection may go on: with no certificate, where none is demanded, or with one that holds. */
function admit(socket: TLSSocket, { certificates, spiffeAllow, metrics, logger }: ServerTls): boolean {
  const certificate = certificates.current.ca && socket.getPeerX509Certificate();
  if (certificate === undefined) return true;
  if (!socket.authorized) {
    metrics.handshakeRefused("certificate");
    return false;
  }
  const spiffeId = spiffeIdOf(certificate);
  if (spiffeAllow.length > 0 && (spiffeId === undefined || !isListed(spiffeId, spiffeAllow))) {
    metrics.handshakeRefused("spiffe_id");
    logger.warn({ spiffeId, peer: socket.remoteAddress }, "the SPIFFE id of a client is not on TLS_SPIFFE_ALLOW");
    return false;
  }
  setVerifiedPeer(socket, { spiffeId });
  return true;
}
