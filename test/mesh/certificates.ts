import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createAuthority } from "../support/certificates.ts";

/** Files of a certificate and its key, PEM. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** A certificate authority whose files are in a directory, as a proxy wants them. */
export interface WorkloadAuthority extends CertificateFiles {
  /** Issues a certificate for a workload: its SPIFFE id is the one URI in it. */
  issue(name: string, spiffeId: string): CertificateFiles;
}

export function createWorkloadAuthority(directory: string): WorkloadAuthority {
  const authority = createAuthority("mesh");
  function write(name: string, pem: CertificateFiles): CertificateFiles {
    const files = { cert: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) };
    writeFileSync(files.cert, pem.cert);
    writeFileSync(files.key, pem.key);
    return files;
  }
  return {
    ...write("ca", authority),
    issue: (name, spiffeId) => write(name, authority.issue({ names: [`URI:${spiffeId}`] })),
  };
}
