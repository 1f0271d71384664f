import type { Logger } from "pino";
import type { ReadinessCheck } from "../lifecycle/readiness.ts";
import type { CertificateWatch } from "./certificate-watch.ts";
import { untimely } from "./certificates.ts";
import type { TlsMetrics } from "./tls-metrics.ts";

export interface CertificateReportOptions {
  /** What the certificates are for, in metrics and logs: `server` or `client`. */
  readonly name: string;
  readonly logger: Logger;
  readonly metrics: TlsMetrics;
  readonly check: ReadinessCheck;
  /** Whether the service is not ready while its certificate is out of its time. */
  readonly gatesReadiness: boolean;
}

/** Tells in metrics, readiness and the log how certificates are: until when they are valid, and why new ones are not taken. */
export function createCertificateReport(options: CertificateReportOptions): (watch: CertificateWatch) => void {
  const { name, logger, metrics, check, gatesReadiness } = options;
  let lastLoaded: object | undefined;
  let lastFault: string | undefined;
  let lastTrouble: string | undefined;
  metrics.watching(name);

  return ({ current, fault }) => {
    const { identity, ca } = current;
    if (current !== lastLoaded) {
      if (identity !== undefined) metrics.expiry(name, identity.validity.to);
      if (ca !== undefined) metrics.expiry(`${name}_ca`, ca.validity.to);
      const validUntil = identity && new Date(identity.validity.to).toISOString();
      logger.info({ certificate: name, validUntil }, "certificates are in force");
      lastLoaded = current;
    }
    if (fault !== undefined && fault.message !== lastFault) {
      metrics.reloadFailed(name);
      logger.error(
        { certificate: name, reason: fault.message },
        "new certificates are not taken; the last good ones stay",
      );
    }
    lastFault = fault?.message;
    const trouble = identity && untimely(identity.validity, Date.now());
    if (trouble !== undefined && trouble !== lastTrouble) {
      logger.error({ certificate: name, reason: trouble }, "the certificate in force is not valid");
    }
    lastTrouble = trouble;
    const validity = (identity ?? ca)?.validity;
    const until = validity === undefined ? "" : `valid until ${new Date(validity.to).toISOString()}`;
    const state = trouble === undefined ? until : `the certificate ${trouble}`;
    const kept = fault === undefined ? "" : `new certificates are not taken: ${fault.message}`;
    check.set(!gatesReadiness || trouble === undefined, [state, kept].filter((part) => part !== "").join("; "));
  };
}
