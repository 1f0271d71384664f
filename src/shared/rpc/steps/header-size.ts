import { ServiceError } from "../../service-error.ts";

/** What each header counts beside its name and value (RFC 9113 section 6.5.2). */
const overheadBytes = 32;

/**
 * Size of headers as HTTP/2 counts them. Node announces SETTINGS_MAX_HEADER_LIST_SIZE but does not hold peers to it; beyond
 * about 64 KiB nghttp2 closes the connection.
 */
export function headerSize(headers: Readonly<Record<string, unknown>>): number {
  let size = 0;
  for (const name in headers) {
    const value = headers[name];
    const values = Array.isArray(value) ? value : [value];
    for (const each of values) size += name.length + (each as string | Buffer).length + overheadBytes;
  }
  return size;
}

/** RESOURCE_EXHAUSTED for headers beyond the limit. */
export function headersTooLarge(limit: number): ServiceError {
  return new ServiceError("RESOURCE_EXHAUSTED", `The headers are larger than ${limit} bytes.`, {
    reason: "HEADERS_TOO_LARGE",
    metadata: { limit_bytes: String(limit) },
  });
}
