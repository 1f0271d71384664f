import { connect, type PeerCertificate, type SecureContextOptions } from "node:tls";
import { type Finding, findingsOf } from "./finding.ts";
import { causeOf, tlsName } from "./http-get.ts";
import { authority } from "./replica.ts";

/** Where a certificate is shown. */
export interface TlsPlace {
  readonly subject: string;
  readonly address: string;
  readonly port: number;
  /** Name that it has to be for. */
  readonly serverName: string;
}

/** Certificates that others must chain to. Default: those that Node trusts. */
type Trusted = SecureContextOptions["ca"] | undefined;

const dayMs = 86_400_000;
/** Public certificates are renewed 30 days before their end. */
const warningDays = 14;

/** Whether the certificate shown at a place is trusted, is for its name, and does not end soon. */
export async function judgeCertificate(
  place: TlsPlace,
  { ca, timeoutMs, now = Date.now }: { readonly ca?: Trusted; readonly timeoutMs: number; readonly now?: () => number },
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const say = findingsOf(place.subject, findings);
  let shown: Shown;
  try {
    shown = await certificateAt(place, ca, timeoutMs);
  } catch (error) {
    const where = authority(place.address, place.port);
    say.warning("certificate", `no TLS handshake at ${where} (${causeOf(error)})`, "Check that the port speaks TLS.");
    return findings;
  }
  const days = Math.floor((Date.parse(shown.certificate.valid_to) - now()) / dayMs);
  const renew = "Renew it: with cert-manager see `kubectl get certificates`, else docs/operations.md#certificates.";
  if (days < 0) say.problem("certificate", `ended on ${shown.certificate.valid_to}`, renew);
  else if (shown.fault !== undefined) {
    say.problem(
      "certificate",
      `is not trusted (${shown.fault})`,
      "Give its issuer with --tls-ca, or mend name and chain of the certificate.",
    );
  } else if (days < warningDays) say.warning("certificate", `ends in ${days} days`, renew);
  else say.ok("certificate", `good for ${days} days`);
  return findings;
}

interface Shown {
  readonly certificate: PeerCertificate;
  /** Why it is not trusted. */
  readonly fault: string | undefined;
}

function certificateAt({ address, port, serverName }: TlsPlace, ca: Trusted, timeoutMs: number): Promise<Shown> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: address,
      port,
      ...tlsName(serverName),
      ALPNProtocols: ["h2", "http/1.1"],
      // Looked at below: what is wrong with it is what is asked for.
      rejectUnauthorized: false,
      ...(ca === undefined ? {} : { ca }),
    });
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      const certificate = socket.getPeerCertificate();
      const { authorizationError } = socket;
      resolve({ certificate, fault: socket.authorized ? undefined : causeOf(authorizationError) });
      socket.destroy();
    });
  });
}
