import { type IncomingHttpHeaders, request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { isIP } from "node:net";
import { type ConnectionOptions, checkServerIdentity, type SecureContextOptions } from "node:tls";

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** When the request went out and when the head of the answer came, in milliseconds since the epoch. */
  readonly sentAt: number;
  readonly receivedAt: number;
}

export interface HttpGetOptions {
  readonly timeoutMs: number;
  /** Trusted certificates, PEM, with https. Default: those that Node trusts. */
  readonly ca?: SecureContextOptions["ca"] | undefined;
  /** Own certificate and its key, PEM. */
  readonly cert?: Buffer | undefined;
  readonly key?: Buffer | undefined;
  /** Name that the certificate has to be for, and the Host header. Default: the URL's host. */
  readonly serverName?: string | undefined;
}

/** No page that is looked at is near it. */
const maxBodyBytes = 4 * 1_048_576;

/** Fetches one page on a connection of its own. Rejects when it does not come whole in time, or is larger than 4 MiB. */
export function httpGet(url: string, { timeoutMs, serverName, ...tls }: HttpGetOptions): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const send = new URL(url).protocol === "https:" ? tlsRequest : plainRequest;
    const sentAt = Date.now();
    const options = {
      signal,
      agent: false,
      headers: { connection: "close" },
      ...Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined)),
      ...(serverName === undefined ? {} : tlsName(serverName)),
    };
    const request = send(url, options, (response) => {
      const receivedAt = Date.now();
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxBodyBytes) request.destroy(new Error("the answer is too large"));
        chunks.push(chunk);
      });
      response.on("error", reject);
      response.on("end", () => {
        const body = Buffer.concat(chunks).toString("utf8");
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body, sentAt, receivedAt });
      });
    });
    request.on("error", (error) => reject(signal.aborted ? new Error(`no answer within ${timeoutMs} ms`) : error));
    request.end();
  });
}

/** A name is sent along and expected; an address is expected only, for TLS has no place for it (RFC 6066 section 3). */
export function tlsName(name: string): Pick<ConnectionOptions, "servername" | "checkServerIdentity"> {
  if (isIP(name) === 0) return { servername: name };
  return { servername: "", checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate) };
}

/** What an error of a connection says, without a stack; for several addresses, what the first one said. */
export function causeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return causeOf(error.errors[0]);
  return error instanceof Error ? error.message || error.name : String(error);
}
