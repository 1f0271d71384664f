import type { PeerCertificate } from "node:tls";
import { ChannelCredentials, type ChannelOptions, experimental } from "@grpc/grpc-js";
import type { Certificates } from "../tls/certificates.ts";
import { spiffeIdOf } from "../tls/spiffe.ts";

/** TLS towards a server; with a certificate and its key, mutual. */
export interface ClientTls {
  /** Authorities that the server's certificate must chain to, and the client's own certificate, if it has one. */
  readonly certificates: ClientCertificates;
  /** Name expected in the server's certificate when it is not the address's. */
  readonly serverName?: string | undefined;
  /** SPIFFE id expected there in place of a name. */
  readonly serverSpiffeId?: string | undefined;
}

/** Certificates of a client. Each new connection is made with those that are current then. */
export interface ClientCertificates {
  readonly current: Certificates;
  /** Calls back after `current` has changed; answers how to stop. */
  onChange(listener: (certificates: Certificates) => void): () => void;
}

export interface ChannelSettings {
  readonly tls?: ClientTls | undefined;
  /** Largest message either way, in bytes. Default: 1 MiB, as on the server. */
  readonly maxMessageBytes?: number;
  /** Longest pause between attempts to connect, in milliseconds. Default: 1,000. */
  readonly maxReconnectMs?: number;
}

export function channelCredentials(tls: ClientTls | undefined): ChannelCredentials {
  if (tls === undefined) return ChannelCredentials.createInsecure();
  const { certificates, serverSpiffeId } = tls;
  const provider = certificateProvider(certificates);
  const own = certificates.current.identity === undefined ? null : provider;
  return experimental.createCertificateProviderChannelCredentials(
    provider,
    own,
    serverSpiffeId === undefined ? {} : { checkServerIdentity: expectSpiffeId(serverSpiffeId) },
  );
}

/** Checks a certificate that has been verified for the SPIFFE id that it carries, whatever names it may have besides. */
function expectSpiffeId(id: string): (host: string, certificate: PeerCertificate) => Error | undefined {
  return (_host, { subjectaltname: subjectAltName }) =>
    spiffeIdOf({ subjectAltName }) === id ? undefined : new Error(`the server's certificate does not carry ${id}`);
}

/** Gives certificates to grpc-js, which makes each new connection with the last ones it was given. */
function certificateProvider(certificates: ClientCertificates): experimental.CertificateProvider {
  const caListeners = new Set<experimental.CaCertificateUpdateListener>();
  const identityListeners = new Set<experimental.IdentityCertificateUpdateListener>();
  certificates.onChange((changed) => {
    for (const listener of caListeners) listener(caUpdate(changed));
    for (const listener of identityListeners) listener(identityUpdate(changed));
  });
  return {
    addCaCertificateListener(listener) {
      caListeners.add(listener);
      listener(caUpdate(certificates.current));
    },
    removeCaCertificateListener: (listener) => void caListeners.delete(listener),
    addIdentityCertificateListener(listener) {
      identityListeners.add(listener);
      listener(identityUpdate(certificates.current));
    },
    removeIdentityCertificateListener: (listener) => void identityListeners.delete(listener),
  };
}

/** Nothing stands for certificates that failed to load, and no connection is made. */
function caUpdate({ ca }: Certificates): experimental.CaCertificateUpdate | null {
  return ca === undefined ? null : { caCertificate: ca.certs };
}

function identityUpdate({ identity }: Certificates): experimental.IdentityCertificateUpdate | null {
  return identity === undefined ? null : { certificate: identity.cert, privateKey: identity.key };
}

/**
 * Options of one multiplexed connection.
 *
 * grpc-js would wait up to two minutes before it tries a lost connection again, and a circuit breaker cannot heal sooner
 * than that; so the pauses are short here, and the breaker does the sparing.
 */
export function channelOptions(settings: ChannelSettings): ChannelOptions {
  const { tls, maxMessageBytes = 1_048_576, maxReconnectMs = 1_000 } = settings;
  return {
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.max_send_message_length": maxMessageBytes,
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.initial_reconnect_backoff_ms": Math.min(100, maxReconnectMs),
    "grpc.max_reconnect_backoff_ms": maxReconnectMs,
    "grpc.dns_min_time_between_resolutions_ms": maxReconnectMs,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_retries": 0,
    "grpc.enable_http_proxy": 0,
    "grpc.service_config_disable_resolution": 1,
    ...(tls?.serverName === undefined
      ? {}
      : { "grpc.ssl_target_name_override": tls.serverName, "grpc.default_authority": tls.serverName }),
  };
}
