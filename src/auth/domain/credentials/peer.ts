import { notAuthenticated } from "../../errors.ts";
import { forwardedClientUri } from "../forwarded-client-cert.ts";
import { parseSpiffeId } from "../spiffe-id.ts";
import type { Attempt, Verifier } from "./credential.ts";

export interface PeerVerifierOptions {
  /** Trust domains whose workloads are known. */
  readonly trustDomains: readonly string[];
  /** SPIFFE ids of gateways: they carry other people's calls, and their identity is nobody's. */
  readonly gateways: readonly string[];
  /** Whether the peer of an address is a proxy that sets `x-forwarded-client-cert` itself. */
  readonly isTrustedProxy: (address: string) => boolean;
}

/**
 * Verifies the workload that makes a call: by the certificate of the connection, or by what a trusted proxy says of its own
 * peer, on a connection without a certificate or with that of a gateway. From anybody else that header is worth nothing: a
 * certificate that was verified here is not overruled by a text.
 */
export function createPeerVerifier({ trustDomains, gateways, isTrustedProxy }: PeerVerifierOptions): Verifier<"peer"> {
  function spiffeIdOf({ peerPrincipal, peerAddress, forwardedClientCert }: Attempt): string | undefined {
    if (peerPrincipal !== undefined && !gateways.includes(peerPrincipal)) return peerPrincipal;
    if (forwardedClientCert === undefined || !isTrustedProxy(peerAddress)) return undefined;
    return forwardedClientUri(forwardedClientCert);
  }

  return (_, attempt) => {
    const id = spiffeIdOf(attempt) ?? "";
    const trustDomain = parseSpiffeId(id)?.trustDomain;
    if (trustDomain === undefined || !trustDomains.includes(trustDomain) || gateways.includes(id)) {
      throw notAuthenticated();
    }
    return { principal: { type: "Workload", id, roles: [], attributes: {} }, amr: [] };
  };
}
