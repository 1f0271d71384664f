import { join } from "node:path";
import { runCommand } from "./command.ts";

/** Files of a certificate and its key, PEM. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** A certificate authority for one test. */
export interface Authority {
  /** Its own certificate, PEM. */
  readonly cert: string;
  /** Issues a certificate for a workload: its SPIFFE id is the one URI in it. */
  issue(name: string, spiffeId: string): Promise<CertificateFiles>;
}

/** Makes a certificate authority whose files are in a directory. Needs `openssl`. */
export async function createAuthority(directory: string): Promise<Authority> {
  const file = (name: string): string => join(directory, name);
  const openssl = async (...args: string[]): Promise<void> => {
    const { code, stderr } = await runCommand("openssl", args);
    if (code !== 0) throw new Error(`openssl ${args.join(" ")}\n${stderr}`);
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const ca = { cert: file("ca.crt"), key: file("ca.key") };
  await openssl("req", "-x509", ...key, "-days", "1", "-subj", "/O=mesh", "-keyout", ca.key, "-out", ca.cert);
  return {
    cert: ca.cert,
    async issue(name, spiffeId) {
      const files = { cert: file(`${name}.crt`), key: file(`${name}.key`) };
      await openssl(
        ...["req", "-x509", ...key, "-days", "1", "-subj", "/", "-CA", ca.cert, "-CAkey", ca.key],
        ...["-addext", `subjectAltName=critical,URI:${spiffeId}`, "-addext", "basicConstraints=CA:FALSE"],
        ...["-keyout", files.key, "-out", files.cert],
      );
      return files;
    },
  };
}
