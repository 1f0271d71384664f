import { createServer as createHttp1, type RequestListener } from "node:http";
import { createServer as createHttp2 } from "node:http2";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { type ListenAddress, listen } from "../../lifecycle/listen.ts";
import type { Metrics } from "../../metrics/metrics.ts";
import { createListener, type ServerTls } from "../../tls/tls-listener.ts";
import { trackConnections } from "../connections.ts";
import type { Door } from "../door.ts";
import type { HostLimits } from "../limits.ts";
import { headerSize } from "../steps/header-size.ts";
import { demandCertificate } from "./demand-certificate.ts";
import { superviseSessions } from "./http2-sessions.ts";
import { sniffProtocol } from "./protocol-sniffer.ts";

/** Time for a connection to begin, and for a request's headers to arrive. */
const headersTimeoutMs = 10_000;

/** Serves a request listener over HTTP/1.1 and HTTP/2 on one port, which ALPN tells apart with TLS, and the first bytes without. */
export function createEdgeDoor(
  address: ListenAddress,
  handler: RequestListener,
  limits: HostLimits,
  metrics: Metrics,
  tls?: ServerTls | undefined,
): Door {
  const listener = tls?.clientRequired.edge === true ? demandCertificate(handler) : handler;
  const http1 = createHttp1(
    {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: headersTimeoutMs,
      requestTimeout: limits.maxUnaryMs,
      keepAliveTimeout: limits.keepaliveIntervalMs,
    },
    listener,
  );
  // It never listens itself; this starts what enforces its timeouts and knows which connections are idle.
  http1.emit("listening");
  const http2 = createHttp2(
    {
      maxSessionMemory: 64,
      settings: { maxConcurrentStreams: limits.maxConcurrentStreams, maxHeaderListSize: limits.maxHeaderBytes },
    },
    limitHeaders(listener, limits.maxHeaderBytes) as never,
  );
  const sessions = superviseSessions(http2, limits);
  const servers = {
    http1: (socket: Socket) => http1.emit("connection", socket),
    http2: (socket: Socket) => http2.emit("connection", socket),
  };
  // The handshake demands no certificate, so that probes, which have none, get their answer.
  const transport = { protocols: ["h2", "http/1.1"], demandsCertificate: false };
  const server = createListener(tls, transport, (socket) => {
    if (tls === undefined) sniffProtocol(socket, headersTimeoutMs, servers);
    else if ((socket as TLSSocket).alpnProtocol === "h2") servers.http2(socket);
    else servers.http1(socket);
  });
  const connections = trackConnections(server, limits.maxConnections, metrics);

  return {
    start: () => listen(server, "HTTP", address),
    async drain(graceMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const closing = sessions.close();
      http1.close();
      const idle = setInterval(() => http1.closeIdleConnections(), 20);
      const force = setTimeout(() => connections.destroy(), graceMs);
      await Promise.all([closing, closed]);
      clearInterval(idle);
      clearTimeout(force);
    },
  };
}

/** Answers 431 to HTTP/2 requests whose headers are over the limit; of HTTP/1.1 Node sees to it itself. */
function limitHeaders(listener: RequestListener, bytes: number): RequestListener {
  return (request, response) => {
    if (headerSize(request.headers) <= bytes) listener(request, response);
    else response.writeHead(431).end();
  };
}
