import type { Credential } from "../domain/credentials/credential.ts";
import { issuerOf } from "../domain/external/unverified-token.ts";
import { forwardedClientUri } from "../domain/forwarded-client-cert.ts";
import { parseSpiffeId } from "../domain/spiffe-id.ts";
import { cookieValue } from "./cookies.ts";
import type { CheckedRequest } from "./request.ts";

/** Where credentials are looked for, in this order. */
export interface CredentialPlaces {
  /** Whether `Authorization: Bearer …` is read. */
  readonly bearer: boolean;
  /** Issuers other than this service whose tokens are taken as bearer tokens. */
  readonly issuers: readonly string[];
  /** Lower-case name of the header with an API key; undefined: none is read. */
  readonly apiKeyHeader: string | undefined;
  /** Name of the cookie with a session token; undefined: none is read. */
  readonly sessionCookie: string | undefined;
  /**
   * Where a workload's identity is taken from, for requests without any of the above: the certificate that the proxy
   * verified, or `x-forwarded-client-cert` where a proxy before it ended the TLS and sets that header itself.
   */
  readonly peer: "certificate" | "forwarded" | undefined;
  /** Trust domains whose workloads are known. */
  readonly trustDomains: readonly string[];
  /** SPIFFE ids of gateways: they carry other people's requests, and their identity is nobody's. */
  readonly gateways: readonly string[];
}

/** What a request presents. */
export type FoundCredential =
  | { readonly kind: "credential"; readonly credential: Credential; readonly header: string }
  /** SPIFFE id of a workload; a proxy verified it. */
  | { readonly kind: "workload"; readonly id: string }
  /** Something that is no credential. It is not passed over for a weaker one. */
  | { readonly kind: "malformed" }
  | { readonly kind: "none" };

const maxTokenLength = 16_384;
const maxKeyLength = 256;
/** RFC 6750 section 2.1. */
const bearer = /^bearer +([A-Za-z0-9._~+/-]+=*) *$/i;
const token = /^[!-~]+$/;

const malformed: FoundCredential = { kind: "malformed" };

/** Finds the credential of a request: the first of the places that has one. */
export function findCredential(request: CheckedRequest, places: CredentialPlaces): FoundCredential {
  return (
    findBearer(request, places) ??
    findApiKey(request, places) ??
    findCookie(request, places) ??
    findPeer(request, places) ?? { kind: "none" }
  );
}

/** Another scheme than Bearer, for the workload itself, is none of ours. */
function findBearer(request: CheckedRequest, places: CredentialPlaces): FoundCredential | undefined {
  const value = places.bearer ? request.header("authorization") : undefined;
  if (value === undefined || !/^bearer(?: |$)/i.test(value)) return undefined;
  const found = bearer.exec(value)?.[1];
  if (found === undefined || found.length > maxTokenLength) return malformed;
  const issuer = places.issuers.length === 0 ? undefined : issuerOf(found);
  const kind = issuer !== undefined && places.issuers.includes(issuer) ? "externalToken" : "bearerToken";
  return { kind: "credential", credential: { kind, token: found }, header: "authorization" };
}

function findApiKey(request: CheckedRequest, { apiKeyHeader }: CredentialPlaces): FoundCredential | undefined {
  const key = apiKeyHeader === undefined ? undefined : request.header(apiKeyHeader);
  if (key === undefined || apiKeyHeader === undefined) return undefined;
  // A comma joins repeated headers, and no key has one.
  if (!token.test(key) || key.includes(",") || key.length > maxKeyLength) return malformed;
  return { kind: "credential", credential: { kind: "apiKey", key }, header: apiKeyHeader };
}

function findCookie(request: CheckedRequest, { sessionCookie }: CredentialPlaces): FoundCredential | undefined {
  const header = sessionCookie === undefined ? undefined : request.header("cookie");
  if (header === undefined || sessionCookie === undefined) return undefined;
  const cookie = cookieValue(header, sessionCookie);
  if (cookie === undefined) return undefined;
  if (cookie === "ambiguous" || !token.test(cookie.value) || cookie.value.length > maxTokenLength) return malformed;
  return { kind: "credential", credential: { kind: "bearerToken", token: cookie.value }, header: "cookie" };
}

function findPeer(request: CheckedRequest, places: CredentialPlaces): FoundCredential | undefined {
  const { peer, trustDomains, gateways } = places;
  if (peer === undefined) return undefined;
  const forwarded = peer === "forwarded" ? request.header("x-forwarded-client-cert") : undefined;
  const id = peer === "certificate" ? request.sourcePrincipal : forwarded && forwardedClientUri(forwarded);
  if (id === undefined || id === "") return forwarded === undefined ? undefined : malformed;
  if (gateways.includes(id)) return undefined;
  const workload = parseSpiffeId(id);
  return workload !== undefined && trustDomains.includes(workload.trustDomain) ? { kind: "workload", id } : malformed;
}
