import * as v from "valibot";
import { isSpiffeId } from "../tls/spiffe.ts";
import { ConfigError, type ConfigFields } from "./config.ts";
import { oneOf, text } from "./parsers.ts";

/** TLS of a service's own ports. */
export interface TlsSettings {
  readonly tlsCertFile: string;
  readonly tlsKeyFile: string;
  readonly tlsClientCaFile: string;
  readonly tlsClientRequired: "true" | "grpc" | "false";
  readonly tlsSpiffeAllow: readonly string[];
}

/** TLS towards the other service. */
export interface PeerTlsSettings {
  readonly peerTlsCaFile: string;
  readonly peerTlsCertFile: string;
  readonly peerTlsKeyFile: string;
  readonly peerTlsServerName: string;
  readonly peerTlsSpiffeId: string;
}

/** SPIFFE ids, or beginnings of them that end with `/`, separated by commas. */
const spiffeList: v.GenericSchema<string, readonly string[]> = v.pipe(
  v.string(),
  v.transform((list) => list.split(",").map((entry) => entry.trim())),
  v.transform((entries) => entries.filter((entry) => entry !== "")),
  v.check(
    (entries) => entries.every((entry) => /^spiffe:\/\/[a-z0-9._-]+(\/[A-Za-z0-9._-]+)*\/?$/.test(entry)),
    "must be SPIFFE ids, or beginnings of them that end with /, separated by commas",
  ),
);

/** Where each comes from. */
export const tlsFields: ConfigFields<TlsSettings> = {
  tlsCertFile: {
    env: "TLS_CERT_FILE",
    doc: "Certificate of both ports, with its chain, in PEM; taken up anew when it changes. Unset: plain text, as a mesh's sidecar expects.",
    schema: text,
    fallback: "",
  },
  tlsKeyFile: {
    env: "TLS_KEY_FILE",
    doc: "Private key of TLS_CERT_FILE, in PEM and not encrypted.",
    schema: text,
    fallback: "",
  },
  tlsClientCaFile: {
    env: "TLS_CLIENT_CA_FILE",
    doc: "Certificates that those of clients must chain to. Unset: clients are asked for none.",
    schema: text,
    fallback: "",
  },
  tlsClientRequired: {
    env: "TLS_CLIENT_REQUIRED",
    doc: "With TLS_CLIENT_CA_FILE: `true`, every client must have a certificate (of the HTTP edge, `/livez` and `/readyz` are excepted, for probes); `grpc`, those of the gRPC port; `false`, none, but one that is sent must be valid.",
    schema: oneOf("true", "grpc", "false"),
    fallback: "true",
  },
  tlsSpiffeAllow: {
    env: "TLS_SPIFFE_ALLOW",
    doc: "SPIFFE ids that the certificates of clients may carry, or beginnings of them that end with `/`, separated by commas. Unset: any certificate that TLS_CLIENT_CA_FILE vouches for.",
    schema: spiffeList,
    fallback: "",
  },
};

/** Where the settings of TLS towards `target` come from; the variables' names begin with `prefix`. */
export function peerTlsFields(prefix: "AUTH" | "POLICY", target: string): ConfigFields<PeerTlsSettings> {
  return {
    peerTlsCaFile: {
      env: `${prefix}_TLS_CA_FILE`,
      doc: `Certificates that the one of ${target} must chain to. Unset: plain text to it.`,
      schema: text,
      fallback: "",
    },
    peerTlsCertFile: {
      env: `${prefix}_TLS_CERT_FILE`,
      doc: `Certificate to show to ${target}, with its chain. Unset: none.`,
      schema: text,
      fallback: "",
    },
    peerTlsKeyFile: {
      env: `${prefix}_TLS_KEY_FILE`,
      doc: `Private key of ${prefix}_TLS_CERT_FILE.`,
      schema: text,
      fallback: "",
    },
    peerTlsServerName: {
      env: `${prefix}_TLS_SERVER_NAME`,
      doc: `Name expected in the certificate of ${target}, when it is not that of ${prefix}_ADDRESS.`,
      schema: text,
      fallback: "",
    },
    peerTlsSpiffeId: {
      env: `${prefix}_TLS_SPIFFE_ID`,
      doc: `SPIFFE id expected in the certificate of ${target}, in place of a name.`,
      schema: v.pipe(
        v.string(),
        v.check((id) => id === "" || isSpiffeId(id), "must be a SPIFFE id"),
      ),
      fallback: "",
    },
  };
}

/** @throws ConfigError when the settings of the ports do not go together. */
export function checkTlsSettings(settings: TlsSettings): void {
  const { tlsCertFile, tlsKeyFile, tlsClientCaFile, tlsClientRequired, tlsSpiffeAllow } = settings;
  const problems: string[] = [];
  if (tlsCertFile !== "" && tlsKeyFile === "") problems.push("TLS_KEY_FILE is required with TLS_CERT_FILE");
  if (tlsKeyFile !== "" && tlsCertFile === "") problems.push("TLS_CERT_FILE is required with TLS_KEY_FILE");
  if (tlsClientCaFile !== "" && tlsCertFile === "" && tlsKeyFile === "") {
    problems.push("TLS_CERT_FILE and TLS_KEY_FILE are required with TLS_CLIENT_CA_FILE");
  }
  if (tlsSpiffeAllow.length > 0) {
    if (tlsClientCaFile === "") problems.push("TLS_CLIENT_CA_FILE is required with TLS_SPIFFE_ALLOW");
    if (tlsClientRequired === "false") {
      problems.push("TLS_CLIENT_REQUIRED must not be false with TLS_SPIFFE_ALLOW: who has no certificate would pass");
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
}

/** @throws ConfigError when the settings of TLS towards the other service do not go together. */
export function checkPeerTlsSettings(settings: PeerTlsSettings, prefix: "AUTH" | "POLICY"): void {
  const { peerTlsCaFile, peerTlsCertFile, peerTlsKeyFile, peerTlsServerName, peerTlsSpiffeId } = settings;
  const problems: string[] = [];
  if ((peerTlsCertFile === "") !== (peerTlsKeyFile === "")) {
    problems.push(`${prefix}_TLS_CERT_FILE and ${prefix}_TLS_KEY_FILE are required together`);
  }
  if (peerTlsCaFile === "" && `${peerTlsCertFile}${peerTlsKeyFile}${peerTlsServerName}${peerTlsSpiffeId}` !== "") {
    problems.push(`${prefix}_TLS_CA_FILE is required with the other ${prefix}_TLS_ variables`);
  }
  if (problems.length > 0) throw new ConfigError(problems);
}
