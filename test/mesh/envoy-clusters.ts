import { join } from "node:path";
import { endpointFile, loadAssignment } from "./envoy-endpoints.ts";
import { type Endpoint, type EnvoySettings, type Json, milliseconds } from "./envoy-settings.ts";

type Fields = { readonly [key: string]: Json };

const protocolOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
const http2 = protocol({ explicit_http_config: { http2_protocol_options: {} } });

/** All that the proxy reaches, balanced as k8s/istio/destination-rules.yaml has it. */
export function clusters(settings: EnvoySettings): Json[] {
  const { authGrpc, authHttp, upstream, upstreamGrpc, policy, connectionsPort, endpoints } = settings;
  const replicas = (name: string, list: readonly Endpoint[], more: Fields): Json =>
    endpoints === undefined ? cluster(name, list, more) : followed(name, endpoints, more);
  return [
    replicas("auth", authGrpc, {
      lb_policy: "RING_HASH",
      ring_hash_lb_config: { minimum_ring_size: 1_024 },
      ...http2,
      circuit_breakers: { thresholds: [{ max_connections: 100, max_requests: 4_096, max_retries: 16 }] },
      outlier_detection: outliers(settings),
      ...authTls(settings, ["h2"]),
    }),
    replicas("auth-edge", authHttp, { lb_policy: "ROUND_ROBIN", ...authTls(settings, ["http/1.1"]) }),
    cluster("upstream", upstream, { lb_policy: "LEAST_REQUEST" }),
    ...(upstreamGrpc === undefined
      ? []
      : [cluster("upstream-grpc", upstreamGrpc, { lb_policy: "LEAST_REQUEST", ...http2 })]),
    ...(policy === undefined
      ? []
      : [
          replicas("policy", policy.grpc, {
            lb_policy: "LEAST_REQUEST",
            ...http2,
            circuit_breakers: { thresholds: [{ max_connections: 100, max_requests: 8_192, max_retries: 16 }] },
            outlier_detection: outliers(settings),
          }),
        ]),
    ...(connectionsPort === undefined ? [] : [replicas("auth-connections", authGrpc, { lb_policy: "ROUND_ROBIN" })]),
  ];
}

/** Name of the file that tells the proxy its certificate towards auth-service. */
export const clientSecretFile = "client-secret.json";

/** What the proxy proves and wants proved towards an auth-service that serves TLS of its own. */
function authTls({ authTls: tls }: EnvoySettings, protocols: readonly string[]): Fields {
  if (tls === undefined) return {};
  const { directory, authority, serverName } = tls;
  const source = { path: join(directory, clientSecretFile), watched_directory: { path: directory } };
  const secret = { name: "client", sds_config: { resource_api_version: "V3", path_config_source: source } };
  return {
    transport_socket: {
      name: "envoy.transport_sockets.tls",
      typed_config: {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        sni: serverName,
        common_tls_context: {
          alpn_protocols: [...protocols],
          tls_certificate_sds_secret_configs: [secret],
          validation_context: {
            trusted_ca: { filename: authority },
            match_typed_subject_alt_names: [{ san_type: "DNS", matcher: { exact: serverName } }],
          },
        },
      },
    },
  };
}

function outliers(settings: EnvoySettings): Json {
  return {
    consecutive_5xx: 5,
    consecutive_gateway_failure: 3,
    enforcing_consecutive_gateway_failure: 100,
    split_external_local_origin_errors: true,
    consecutive_local_origin_failure: 3,
    interval: milliseconds(settings.outlierIntervalMs ?? 5_000),
    base_ejection_time: milliseconds(settings.ejectionMs ?? 30_000),
    max_ejection_percent: 50,
    enforcing_success_rate: 0,
  };
}

function cluster(name: string, list: readonly Endpoint[], more: Fields): Json {
  return { name, type: "STATIC", connect_timeout: "1s", load_assignment: loadAssignment(name, list), ...more };
}

/** A cluster whose endpoints change while the proxy runs, as those of a Service do. */
function followed(name: string, directory: string, more: Fields): Json {
  const source = { path: join(directory, endpointFile(name)), watched_directory: { path: directory } };
  return {
    name,
    type: "EDS",
    connect_timeout: "1s",
    eds_cluster_config: { eds_config: { resource_api_version: "V3", path_config_source: source } },
    ...more,
  };
}

function protocol(options: Fields): Fields {
  return {
    typed_extension_protocol_options: {
      [protocolOptions]: { "@type": `type.googleapis.com/${protocolOptions}`, ...options },
    },
  };
}
