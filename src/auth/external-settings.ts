import * as v from "valibot";
import type { ConfigFields } from "../shared/config/config.ts";
import { text } from "../shared/config/parsers.ts";
import { AddressRangeError, parseTrustedProxies, type TrustedProxies } from "./domain/client-network.ts";
import { parseSpiffeId } from "./domain/spiffe-id.ts";

/** Settings of identities that others vouch for. */
export interface ExternalSettings {
  /** Path of the issuers file; empty for none. */
  readonly issuers: string;
  readonly peerTrustDomains: readonly string[];
  readonly peerGateways: readonly string[];
  readonly trustedProxies: TrustedProxies;
}

const proxyList: v.GenericSchema<string, TrustedProxies> = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    try {
      return parseTrustedProxies(dataset.value);
    } catch (error) {
      if (!(error instanceof AddressRangeError)) throw error;
      addIssue({ message: "must be a list of addresses and ranges such as 127.0.0.6,10.0.0.0/8" });
      return NEVER;
    }
  }),
);

/** Texts separated by commas, none when it is empty. */
function listOf(isFit: (text: string) => boolean, message: string): v.GenericSchema<string, readonly string[]> {
  return v.pipe(
    v.string(),
    v.transform((list) => list.split(",").flatMap((part) => (part.trim() === "" ? [] : [part.trim()]))),
    v.check((parts) => parts.every(isFit), message),
  );
}

/** Where each comes from. */
export const externalFields: ConfigFields<ExternalSettings> = {
  issuers: {
    env: "AUTH_ISSUERS",
    doc: "File of the issuers whose tokens are accepted as `external_token`, for exchange, and in `Check`; see [external-identities](external-identities.md). Unset: none.",
    schema: text,
    fallback: "",
  },
  peerTrustDomains: {
    env: "PEER_TRUST_DOMAINS",
    doc: "SPIFFE trust domains, separated by commas, whose workloads may authenticate as `peer`. Unset: `peer` is not accepted.",
    schema: listOf(
      (part) => /^[a-z0-9._-]{1,255}$/.test(part),
      "must be a list of trust domains such as cluster.local",
    ),
    fallback: "",
  },
  peerGateways: {
    env: "PEER_GATEWAYS",
    doc: "SPIFFE ids of gateways, separated by commas, that are not accepted as `peer`: they carry other people's calls.",
    schema: listOf((part) => parseSpiffeId(part) !== undefined, "must be a list of SPIFFE ids"),
    fallback: "",
  },
  trustedProxies: {
    env: "TRUSTED_PROXIES",
    doc: "Addresses and CIDR ranges of proxies, separated by commas, whose `x-forwarded-for` tells the client's address and whose `x-forwarded-client-cert` tells the workload; `127.0.0.6` is the peer of a pod with an Istio sidecar. Unset: the peer is the client.",
    schema: proxyList,
    fallback: "",
  },
};
