import type { X509Certificate } from "node:crypto";

/** SPIFFE-ID section 2: a trust domain, then a path without empty, `.` or `..` segments. */
const spiffeId = /^spiffe:\/\/[a-z0-9._-]{1,255}(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+)*$/;
const maxIdBytes = 2_048;

/** Whether a text is a SPIFFE id (SPIFFE-ID sections 2.1 to 2.4). */
export function isSpiffeId(text: string): boolean {
  return text.length <= maxIdBytes && spiffeId.test(text);
}

/**
 * The SPIFFE id that a certificate carries: its only URI (X509-SVID section 2 permits no second).
 *
 * It says nothing about whether the certificate is to be trusted.
 */
export function spiffeIdOf({ subjectAltName }: Pick<X509Certificate, "subjectAltName">): string | undefined {
  // Node quotes, as JSON, every name that could be taken for more than one.
  const names = (subjectAltName ?? "").match(/[A-Za-z ]+:("(?:[^"\\]|\\.)*"|[^,]*)/g) ?? [];
  const uris = names.map((name) => name.trim()).filter((name) => name.startsWith("URI:"));
  const [uri] = uris;
  if (uri === undefined || uris.length > 1) return undefined;
  const id = uri.slice("URI:".length);
  return isSpiffeId(id) ? id : undefined;
}

/** Whether an id is on a list of ids and of beginnings that end with `/`. */
export function isListed(id: string, list: readonly string[]): boolean {
  return list.some((entry) => (entry.endsWith("/") ? id.startsWith(entry) : id === entry));
}
