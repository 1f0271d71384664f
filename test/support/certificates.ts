import { execFileSync } from "node:child_process";
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What a certificate of the tests says. */
export interface LeafOptions {
  /** Alternative names, for example `DNS:localhost` or `URI:spiffe://…`. */
  readonly names: readonly string[];
  /** Days until it expires; negative: it has expired. */
  readonly days?: number;
  readonly usage?: "serverAuth" | "clientAuth";
}

/** PEM of a certificate and its key. */
export interface Leaf {
  readonly cert: string;
  readonly key: string;
}

/** An authority of the tests, made by openssl. */
export interface Authority {
  readonly cert: string;
  readonly key: string;
  issue(options: LeafOptions): Leaf;
}

/** A directory for certificates, removed by `remove`. */
export interface CertificateDirectory {
  readonly path: string;
  /** Path of a file in it. */
  file(name: string): string;
  /** Writes a file, not all at once. */
  write(name: string, content: string): void;
  remove(): void;
}

export function createCertificateDirectory(): CertificateDirectory {
  const path = mkdtempSync(join(tmpdir(), "gatehouse-tls-"));
  const file = (name: string): string => join(path, name);
  return {
    path,
    file,
    write: (name, content) => writeFileSync(file(name), content),
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

export function createAuthority(name: string): Authority {
  const directory = createCertificateDirectory();
  const { file } = directory;
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  try {
    const cert = openssl("req", "-x509", ...newKey, "-keyout", file("ca.key"), "-subj", `/CN=${name}`, "-days", "30");
    const key = openssl("pkey", "-in", file("ca.key"));
    return { cert, key, issue: (options) => issue(cert, key, options) };
  } finally {
    directory.remove();
  }
}

function issue(caCert: string, caKey: string, options: LeafOptions): Leaf {
  const { names, days = 30, usage } = options;
  const directory = createCertificateDirectory();
  const { file } = directory;
  try {
    directory.write("ca.crt", caCert);
    directory.write("ca.key", caKey);
    directory.write(
      "extensions",
      [
        "basicConstraints=critical,CA:FALSE",
        `subjectAltName=${names.join(",")}`,
        ...(usage === undefined ? [] : [`extendedKeyUsage=${usage}`]),
      ].join("\n"),
    );
    const key = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256");
    directory.write("leaf.key", key);
    directory.write("leaf.csr", openssl("req", "-new", "-key", file("leaf.key"), "-subj", "/CN=leaf"));
    const authority = ["-CA", file("ca.crt"), "-CAkey", file("ca.key"), "-extfile", file("extensions")];
    const cert = openssl("x509", "-req", "-in", file("leaf.csr"), ...authority, "-days", String(days));
    return { cert, key };
  } finally {
    directory.remove();
  }
}

/**
 * Puts files into a directory as the kubelet does: into a new directory, to which the link `..data` is then swapped at once.
 */
export function swapFiles(directory: CertificateDirectory, contents: Readonly<Record<string, string>>): void {
  const version = mkdtempSync(join(directory.path, "..version-"));
  for (const [name, content] of Object.entries(contents)) {
    writeFileSync(join(version, name), content);
    try {
      symlinkSync(join("..data", name), directory.file(name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
  symlinkSync(version, directory.file("..data_tmp"));
  renameSync(directory.file("..data_tmp"), directory.file("..data"));
}

function openssl(...args: string[]): string {
  return execFileSync("openssl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}
