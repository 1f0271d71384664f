import type { Logger } from "pino";
import type { ClientTls } from "../client/channel.ts";
import {
  checkPeerTlsSettings,
  checkTlsSettings,
  type PeerTlsSettings,
  type TlsSettings,
} from "../config/tls-settings.ts";
import type { Readiness } from "../lifecycle/readiness.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { createCertificateReport } from "./certificate-report.ts";
import { type CertificateWatch, watchCertificates } from "./certificate-watch.ts";
import type { CertificateFiles } from "./certificates.ts";
import type { ServerTls } from "./tls-listener.ts";
import { createTlsMetrics } from "./tls-metrics.ts";

/** TLS of a service: of its ports and towards the other service, each undefined when it is plain text. */
export interface ServiceTls {
  readonly server: ServerTls | undefined;
  readonly client: ClientTls | undefined;
  /** Ends the watch over the files. */
  close(): void;
}

export interface OpenTlsOptions {
  /** What the variables of TLS towards the other service begin with. */
  readonly peerPrefix: "AUTH" | "POLICY";
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly readiness: Readiness;
}

/**
 * Loads the certificates that the configuration names, and keeps watch over them.
 *
 * @throws ConfigError when settings do not go together, CertificateError when files cannot be used.
 */
export function openTls(settings: TlsSettings & PeerTlsSettings, options: OpenTlsOptions): ServiceTls {
  checkTlsSettings(settings);
  checkPeerTlsSettings(settings, options.peerPrefix);
  const { logger, readiness } = options;
  const metrics = createTlsMetrics(options.metrics.registry);
  const watches: CertificateWatch[] = [];

  function open(name: "server" | "client", files: CertificateFiles): CertificateWatch {
    const check = readiness.add(`tls-${name}`);
    const report = createCertificateReport({ name, logger, metrics, check, gatesReadiness: name === "server" });
    const watch = watchCertificates({ files, onLook: report });
    watches.push(watch);
    return watch;
  }

  const { tlsCertFile, tlsKeyFile, tlsClientCaFile, tlsClientRequired, tlsSpiffeAllow } = settings;
  const { peerTlsCaFile, peerTlsCertFile, peerTlsKeyFile, peerTlsServerName, peerTlsSpiffeId } = settings;
  const asksClients = tlsClientCaFile !== "";
  return {
    server:
      tlsCertFile === ""
        ? undefined
        : {
            certificates: open("server", { cert: tlsCertFile, key: tlsKeyFile, ca: tlsClientCaFile || undefined }),
            clientRequired: {
              grpc: asksClients && tlsClientRequired !== "false",
              edge: asksClients && tlsClientRequired === "true",
            },
            spiffeAllow: tlsSpiffeAllow,
            metrics,
            logger,
          },
    client:
      peerTlsCaFile === ""
        ? undefined
        : {
            certificates: open("client", {
              ca: peerTlsCaFile,
              cert: peerTlsCertFile || undefined,
              key: peerTlsKeyFile || undefined,
            }),
            serverName: peerTlsServerName || undefined,
            serverSpiffeId: peerTlsSpiffeId || undefined,
          },
    close() {
      for (const watch of watches) watch.close();
    },
  };
}
