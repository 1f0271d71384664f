import { createHash, createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";

/** Paths of PEM files: a certificate with its key, authorities, or both. */
export interface CertificateFiles {
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly ca?: string | undefined;
}

/** What such files held at one time. */
export interface FileContents {
  readonly cert?: Buffer | undefined;
  readonly key?: Buffer | undefined;
  readonly ca?: Buffer | undefined;
  /** Tells these contents from any other. */
  readonly hash: string;
}

/** Times in milliseconds since the epoch. */
export interface Validity {
  readonly from: number;
  readonly to: number;
}

/** Certificates in PEM, checked: they parse, the key is that of the certificate, and TLS takes them. */
export interface Certificates {
  readonly identity: { readonly cert: Buffer; readonly key: Buffer; readonly validity: Validity } | undefined;
  readonly ca: { readonly certs: Buffer; readonly validity: Validity } | undefined;
}

/** Certificates cannot be used; the message names the file and never holds what is in it. */
export class CertificateError extends Error {
  override readonly name = "CertificateError";
}

/** Far more than the bundle of all public authorities. */
const maxFileBytes = 2 * 1_048_576;

/**
 * Reads the files at once, for they are small and belong together.
 *
 * @throws CertificateError when one cannot be read.
 */
export function readCertificateFiles(files: CertificateFiles): FileContents {
  const hash = createHash("sha256");
  const read = (path: string | undefined): Buffer | undefined => {
    if (path === undefined) return undefined;
    let bytes: Buffer;
    try {
      bytes = readFileSync(path);
    } catch (error) {
      throw new CertificateError(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
    }
    if (bytes.length > maxFileBytes) throw new CertificateError(`${path} is larger than ${maxFileBytes} bytes`);
    hash.update(`${bytes.length}:`).update(bytes);
    return bytes;
  };
  return { cert: read(files.cert), key: read(files.key), ca: read(files.ca), hash: hash.digest("hex") };
}

/** @throws CertificateError when the contents are not what they should be, or do not belong together. */
export function parseCertificates({ cert, key, ca }: FileContents, files: CertificateFiles): Certificates {
  const identity =
    cert === undefined || key === undefined ? undefined : { cert, key, validity: pair(cert, key, files) };
  const authorities = ca === undefined ? undefined : { certs: ca, validity: overlap(parseChain(ca, files.ca)) };
  try {
    createSecureContext({ ...(identity && { cert, key }), ...(ca && { ca }) });
  } catch (error) {
    throw new CertificateError(`${Object.values(files).join(", ")}: TLS does not take them (${codeOf(error)})`);
  }
  return { identity, ca: authorities };
}

/** Reads and parses. @throws CertificateError */
export function loadCertificates(files: CertificateFiles): Certificates {
  return parseCertificates(readCertificateFiles(files), files);
}

/** What is wrong with the time that a certificate is valid for, if anything. */
export function untimely({ from, to }: Validity, now: number): string | undefined {
  if (now >= to) return `expired at ${new Date(to).toISOString()}`;
  if (now < from) return `is not valid before ${new Date(from).toISOString()}`;
  return undefined;
}

function pair(cert: Buffer, key: Buffer, files: CertificateFiles): Validity {
  const [leaf] = parseChain(cert, files.cert);
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(key);
  } catch (error) {
    throw new CertificateError(`${files.key} holds no private key that can be read (${codeOf(error)})`);
  }
  if (!leaf.checkPrivateKey(privateKey)) {
    throw new CertificateError(`${files.key} does not hold the key of the certificate in ${files.cert}`);
  }
  return validityOf(leaf);
}

function parseChain(pem: Buffer, path: string | undefined): [X509Certificate, ...X509Certificate[]] {
  const blocks = pem.toString("latin1").match(/-----BEGIN CERTIFICATE-----[^-]*(-----END CERTIFICATE-----)?/g) ?? [];
  const [first, ...rest] = blocks.map((block) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw new CertificateError(`${path} holds a certificate that cannot be read (${codeOf(error)})`);
    }
  });
  if (first === undefined) throw new CertificateError(`${path} holds no certificate in PEM`);
  return [first, ...rest];
}

function validityOf({ validFromDate, validToDate }: X509Certificate): Validity {
  return { from: validFromDate.getTime(), to: validToDate.getTime() };
}

/** When all of them are valid. */
function overlap(certificates: readonly X509Certificate[]): Validity {
  const all = certificates.map(validityOf);
  return { from: Math.max(...all.map(({ from }) => from)), to: Math.min(...all.map(({ to }) => to)) };
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "unknown";
}
