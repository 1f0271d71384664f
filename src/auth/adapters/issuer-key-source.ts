import { readFile } from "node:fs/promises";
import type { KeySource } from "../domain/external/issuer-keys.ts";
import { parseKeySet } from "../domain/external/verification-keys.ts";
import { isFetchableUrl } from "../issuers/fetchable-url.ts";
import { FetchError, getJson } from "./get-json.ts";

export interface IssuerKeySourceOptions {
  /** `iss`, under which the discovery document is. */
  readonly issuer: string;
  /** Where the JWK set is. Undefined: where the discovery document says. */
  readonly jwksUri: string | undefined;
  /** File with the certificates of authorities that the server is verified by, in PEM. Undefined: the system's. */
  readonly caFile: string | undefined;
  /** File with a token for the server. It is shown to the configured host only. */
  readonly tokenFile: string | undefined;
  readonly timeoutMs: number;
}

const maxBytes = 262_144;

/**
 * Fetches the JWK set of an issuer, from where OpenID Connect Discovery 1.0 says when that is not configured. Files are read
 * each time: Kubernetes renews them.
 */
export function createIssuerKeySource(options: IssuerKeySourceOptions): KeySource {
  const { issuer, jwksUri, caFile, tokenFile, timeoutMs } = options;
  const first = new URL(jwksUri ?? `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);

  async function fetchJson(url: URL): Promise<unknown> {
    const [ca, token] = await Promise.all([
      caFile === undefined ? undefined : readFile(caFile, "utf8"),
      tokenFile === undefined || url.origin !== first.origin ? undefined : readFile(tokenFile, "utf8"),
    ]);
    return await getJson(url, {
      timeoutMs,
      maxBytes,
      ...(ca === undefined ? {} : { ca }),
      ...(token === undefined ? {} : { token: token.trim() }),
    });
  }

  async function discover(): Promise<URL> {
    const document = (await fetchJson(first)) as { issuer?: unknown; jwks_uri?: unknown } | null;
    // Section 4.3: otherwise anybody who can answer for this host could speak for any issuer.
    if (document?.issuer !== issuer) throw new FetchError(`${first.href} is of another issuer`);
    const { jwks_uri: found } = document;
    if (typeof found !== "string" || !isFetchableUrl(found)) {
      throw new FetchError(`${first.href} names no jwks_uri that may be fetched`);
    }
    return new URL(found);
  }

  return async () => {
    const url = jwksUri === undefined ? await discover() : first;
    const keys = parseKeySet(await fetchJson(url));
    if (keys === undefined) throw new FetchError(`${url.href} answers no JWK set`);
    return keys;
  };
}
