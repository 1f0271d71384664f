import { ChannelCredentials, type ChannelOptions } from "@grpc/grpc-js";

/** TLS towards a server; with a certificate and its key, mutual. All are PEM. */
export interface ClientTls {
  /** Certificates that the server's must chain to. Default: those that Node trusts. */
  readonly rootCerts?: Buffer;
  readonly privateKey?: Buffer;
  readonly certChain?: Buffer;
  /** Name expected in the server's certificate when it is not the address's. */
  readonly serverName?: string;
}

export interface ChannelSettings {
  readonly tls?: ClientTls;
  /** Largest message either way, in bytes. Default: 1 MiB, as on the server. */
  readonly maxMessageBytes?: number;
  /** Longest pause between attempts to connect, in milliseconds. Default: 1,000. */
  readonly maxReconnectMs?: number;
}

export function channelCredentials(tls: ClientTls | undefined): ChannelCredentials {
  if (tls === undefined) return ChannelCredentials.createInsecure();
  return ChannelCredentials.createSsl(tls.rootCerts ?? null, tls.privateKey ?? null, tls.certChain ?? null);
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
