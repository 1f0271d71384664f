import { get as getPlain, type IncomingMessage } from "node:http";
import { get as getSecure } from "node:https";

export interface GetJsonOptions {
  /** Time for all of it, in milliseconds. */
  readonly timeoutMs: number;
  /** Most bytes of the answer. */
  readonly maxBytes: number;
  /** Certificates of authorities in PEM, in place of the system's. */
  readonly ca?: string;
  /** Sent as `Authorization: Bearer …`. Secret. */
  readonly token?: string;
}

/** A document could not be fetched. The message is for the log and holds nothing of the answer. */
export class FetchError extends Error {
  override readonly name = "FetchError";
}

/**
 * Fetches a JSON document of bounded size in bounded time. Follows no redirect: what may be asked is what was configured.
 *
 * @throws FetchError
 */
export async function getJson(url: URL, options: GetJsonOptions): Promise<unknown> {
  const text = await getText(url, options).catch((cause: Error) => {
    throw cause instanceof FetchError
      ? cause
      : new FetchError(`${url.href} cannot be fetched: ${cause.message}`, { cause });
  });
  try {
    return JSON.parse(text);
  } catch {
    throw new FetchError(`${url.href} answers no JSON`);
  }
}

async function getText(url: URL, { timeoutMs, maxBytes, ca, token }: GetJsonOptions): Promise<string> {
  const signal = AbortSignal.timeout(timeoutMs);
  const headers = { accept: "application/json", ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
  const shared = { headers, signal, agent: false as const };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request =
      url.protocol === "https:"
        ? getSecure(url, { ...shared, ...(ca === undefined ? {} : { ca }) }, resolve)
        : getPlain(url, shared, resolve);
    request.on("error", reject);
  });
  try {
    if (response.statusCode !== 200) throw new FetchError(`${url.href} answers ${response.statusCode}`);
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw new FetchError(`${url.href} answers more than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString("utf8");
  } finally {
    response.destroy();
  }
}
