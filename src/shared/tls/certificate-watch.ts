import { type FSWatcher, watch } from "node:fs";
import { dirname } from "node:path";
import {
  CertificateError,
  type CertificateFiles,
  type Certificates,
  type FileContents,
  parseCertificates,
  readCertificateFiles,
  untimely,
} from "./certificates.ts";

export interface CertificateWatchOptions {
  readonly files: CertificateFiles;
  /** Hears of every look that came to something: new certificates, a fault, or that there is none any more. */
  readonly onLook: (watch: CertificateWatch) => void;
  /** How long contents must stay the same before they are judged: a pair half written is not taken for one. Default: 200 ms. */
  readonly settleMs?: number;
  /** How often to look without a sign: not every file system gives one. Default: 5,000 ms. */
  readonly pollMs?: number;
}

/** Certificates that are loaded anew whenever their files change. */
export interface CertificateWatch {
  /** The last ones that were good. */
  readonly current: Certificates;
  /** Why the files as they are now are not in force. */
  readonly fault: CertificateError | undefined;
  /** Calls back after `current` has changed; answers how to stop. */
  onChange(listener: (certificates: Certificates) => void): () => void;
  close(): void;
}

/**
 * Loads certificates and watches their directories, where Kubernetes swaps its `..data` link and others rename files.
 * What does not load, or is not valid at this time, does not replace what is in force.
 *
 * @throws CertificateError when the first contents do not load. If they are only out of their time, they are taken all the same.
 */
export function watchCertificates(options: CertificateWatchOptions): CertificateWatch {
  const { files, onLook, settleMs = 200, pollMs = 5_000 } = options;
  const listeners = new Set<(certificates: Certificates) => void>();
  const first = readCertificateFiles(files);
  let current = parseCertificates(first, files);
  let fault: CertificateError | undefined;
  let inForce = first.hash;
  let lastSeen = first.hash;
  let settling: NodeJS.Timeout | undefined;

  /** Takes up contents that are new; those that were in force already are so still. Answers why not, if so. */
  function judge(contents: FileContents): CertificateError | undefined {
    if (contents.hash === inForce) return undefined;
    const found = attempt(() => parseCertificates(contents, files));
    if (found instanceof CertificateError) return found;
    const trouble = found.identity && untimely(found.identity.validity, Date.now());
    if (trouble !== undefined) return new CertificateError(`the certificate in ${files.cert} ${trouble}`);
    current = found;
    inForce = contents.hash;
    for (const listener of listeners) listener(found);
    return undefined;
  }

  function look(): void {
    const contents = attempt(() => readCertificateFiles(files));
    const seen = contents instanceof CertificateError ? contents.message : contents.hash;
    if (seen !== lastSeen) {
      lastSeen = seen;
      lookSoon();
      return;
    }
    fault = contents instanceof CertificateError ? contents : judge(contents);
    onLook(self);
  }

  function lookSoon(): void {
    clearTimeout(settling);
    settling = setTimeout(look, settleMs).unref();
  }

  const directories = new Set(Object.values(files).map((path: string) => dirname(path)));
  const signs = [...directories].flatMap((directory) => listen(directory, lookSoon));
  const poll = setInterval(look, pollMs).unref();

  const self: CertificateWatch = {
    get current() {
      return current;
    },
    get fault() {
      return fault;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      clearInterval(poll);
      clearTimeout(settling);
      for (const sign of signs) sign.close();
    },
  };
  onLook(self);
  return self;
}

function attempt<T>(work: () => T): T | CertificateError {
  try {
    return work();
  } catch (error) {
    if (error instanceof CertificateError) return error;
    throw error;
  }
}

/** Without signs, polling finds what changes. */
function listen(directory: string, onSign: () => void): FSWatcher[] {
  try {
    const sign = watch(directory, { persistent: false }, onSign);
    sign.on("error", () => sign.close());
    return [sign];
  } catch {
    return [];
  }
}
