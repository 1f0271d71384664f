import * as v from "valibot";
import type { ConfigFields } from "../shared/config/config.ts";
import { text } from "../shared/config/parsers.ts";
import { parseSpiffeId } from "./domain/spiffe-id.ts";

/** Settings of identities that others vouch for. */
export interface ExternalSettings {
  /** Path of the issuers file; empty for none. */
  readonly issuers: string;
  readonly peerTrustDomains: readonly string[];
  readonly peerGateways: readonly string[];
}

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
    doc: "SPIFFE ids of gateways, separated by commas: they carry other people's calls, and are not accepted as `peer` themselves.",
    schema: listOf((part) => parseSpiffeId(part) !== undefined, "must be a list of SPIFFE ids"),
    fallback: "",
  },
};
