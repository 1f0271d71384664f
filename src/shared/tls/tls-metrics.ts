import { Counter, Gauge, type Registry } from "prom-client";

/** Why a handshake was refused: it failed, its certificate is not valid, or its SPIFFE id is not on the list. */
export type RefusalReason = "handshake" | "certificate" | "spiffe_id";

/** What is counted of TLS. Certificates go by fixed names, such as `server`. */
export interface TlsMetrics {
  /** Shows a certificate with no failures as yet. */
  watching(certificate: string): void;
  expiry(certificate: string, timeMs: number): void;
  reloadFailed(certificate: string): void;
  handshakeRefused(reason: RefusalReason): void;
}

export function createTlsMetrics(registry: Registry): TlsMetrics {
  const expiry = new Gauge({
    name: "tls_certificate_expiry_timestamp_seconds",
    help: "When the certificate in force expires, in seconds since the epoch; of authorities, the first that does.",
    labelNames: ["certificate"],
    registers: [registry],
  });
  const failures = new Counter({
    name: "tls_reload_failures_total",
    help: "Times that changed certificate files could not be taken up.",
    labelNames: ["certificate"],
    registers: [registry],
  });
  const refusals = new Counter({
    name: "tls_handshakes_refused_total",
    help: "Connections refused by TLS, by reason.",
    labelNames: ["reason"],
    registers: [registry],
  });
  return {
    watching: (certificate) => failures.inc({ certificate }, 0),
    expiry: (certificate, timeMs) => expiry.set({ certificate }, timeMs / 1_000),
    reloadFailed: (certificate) => failures.inc({ certificate }),
    handshakeRefused: (reason) => refusals.inc({ reason }),
  };
}
