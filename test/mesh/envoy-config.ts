/** Where a server listens on loopback. */
export interface Endpoint {
  readonly port: number;
}

/** What the proxy of the mesh tests stands between. */
export interface EnvoySettings {
  readonly listenPort: number;
  readonly adminPort: number;
  /** gRPC ports of the auth-service replicas, which are asked for each request. */
  readonly authGrpc: readonly Endpoint[];
  /** HTTP edges of the same replicas, where the public keys are fetched. */
  readonly authHttp: readonly Endpoint[];
  /** The protected workload, HTTP/1.1 and HTTP/2 without TLS. */
  readonly upstream: readonly Endpoint[];
  /** Issuer of the tokens that the JWT filter verifies. */
  readonly issuer: string;
  /** Milliseconds that a check may take; 250, as k8s/istio/control-plane.yaml has it. */
  readonly checkTimeoutMs?: number;
  /** Milliseconds between sweeps of the outlier detection; 5,000, as k8s/istio/destination-rules.yaml has it. */
  readonly outlierIntervalMs?: number;
  /** Milliseconds that an ejection lasts at first; 30,000 by default. */
  readonly ejectionMs?: number;
}

/** Any value of a JSON document. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

const api = "type.googleapis.com/envoy.extensions";
const httpFilters = `${api}.filters.http`;

/**
 * The configuration that Istio would give a sidecar in front of a workload with the policies of k8s/istio/protect: filters
 * in Istio's order (rbac, ext_authz, jwt_authn, router), fail closed with 503, auth-service by ring hash on `user-id` with
 * outlier detection, and retries towards the workload.
 */
export function createEnvoyConfig(settings: EnvoySettings): Json {
  return {
    admin: { address: address(settings.adminPort) },
    static_resources: {
      listeners: [
        { name: "inbound", address: address(settings.listenPort), filter_chains: [{ filters: [manager(settings)] }] },
      ],
      clusters: [authCluster(settings), edgeCluster(settings), upstreamCluster(settings)],
    },
  };
}

function address(port: number): Json {
  return { socket_address: { address: "127.0.0.1", port_value: port } };
}

function milliseconds(ms: number): string {
  return `${(ms / 1_000).toFixed(3)}s`;
}

function manager(settings: EnvoySettings): Json {
  return {
    name: "envoy.filters.network.http_connection_manager",
    typed_config: {
      "@type": `${api}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: "inbound",
      codec_type: "AUTO",
      // As pathNormalization DECODE_AND_MERGE_SLASHES has it.
      normalize_path: true,
      merge_slashes: true,
      path_with_escaped_slashes_action: "UNESCAPE_AND_FORWARD",
      http_filters: [rbac(), externalAuthorization(settings), jwt(settings), router()],
      route_config: {
        name: "workload",
        virtual_hosts: [
          {
            name: "workload",
            domains: ["*"],
            routes: [
              {
                match: { prefix: "/" },
                route: {
                  cluster: "upstream",
                  timeout: "5s",
                  retry_policy: {
                    retry_on: "connect-failure,refused-stream,reset-before-request",
                    num_retries: 2,
                    retry_host_predicate: [
                      {
                        name: "envoy.retry_host_predicates.previous_hosts",
                        typed_config: { "@type": `${api}.retry.host.previous_hosts.v3.PreviousHostsPredicate` },
                      },
                    ],
                    host_selection_retry_max_attempts: 5,
                  },
                },
              },
            ],
          },
        ],
      },
    },
  };
}

/** Istio compiles a CUSTOM policy to rules that only mark a request in metadata, and has ext_authz look for the mark. */
function rbac(): Json {
  return {
    name: "envoy.filters.http.rbac",
    typed_config: {
      "@type": `${httpFilters}.rbac.v3.RBAC`,
      shadow_rules: {
        action: "DENY",
        policies: { "gatehouse-rule-0": { permissions: [{ any: true }], principals: [{ any: true }] } },
      },
      shadow_rules_stat_prefix: "istio_ext_authz_",
    },
  };
}

function externalAuthorization(settings: EnvoySettings): Json {
  return {
    name: "envoy.filters.http.ext_authz",
    typed_config: {
      "@type": `${httpFilters}.ext_authz.v3.ExtAuthz`,
      transport_api_version: "V3",
      grpc_service: {
        envoy_grpc: { cluster_name: "auth" },
        timeout: milliseconds(settings.checkTimeoutMs ?? 250),
      },
      failure_mode_allow: false,
      status_on_error: { code: "ServiceUnavailable" },
      include_peer_certificate: true,
      filter_enabled_metadata: {
        filter: "envoy.filters.http.rbac",
        path: [{ key: "istio_ext_authz_shadow_effective_policy_id" }],
        value: { string_match: { prefix: "gatehouse" } },
      },
    },
  };
}

function jwt(settings: EnvoySettings): Json {
  return {
    name: "envoy.filters.http.jwt_authn",
    typed_config: {
      "@type": `${httpFilters}.jwt_authn.v3.JwtAuthentication`,
      providers: {
        gatehouse: {
          issuer: settings.issuer,
          forward: true,
          payload_in_metadata: "payload",
          remote_jwks: {
            http_uri: { uri: "http://auth/.well-known/jwks.json", cluster: "auth-edge", timeout: "1s" },
            cache_duration: "300s",
          },
        },
      },
      // A request without a token passes: RequestAuthentication verifies what is there and demands nothing.
      rules: [
        {
          match: { prefix: "/" },
          requires: { requires_any: { requirements: [{ provider_name: "gatehouse" }, { allow_missing: {} }] } },
        },
      ],
    },
  };
}

function router(): Json {
  return { name: "envoy.filters.http.router", typed_config: { "@type": `${httpFilters}.router.v3.Router` } };
}

function cluster(name: string, endpoints: readonly Endpoint[], more: { readonly [key: string]: Json }): Json {
  return {
    name,
    type: "STATIC",
    connect_timeout: "1s",
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: endpoints.map(({ port }) => ({ endpoint: { address: address(port) } })) }],
    },
    ...more,
  };
}

function protocol(options: { readonly [key: string]: Json }): Json {
  return {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
      "@type": `${api}.upstreams.http.v3.HttpProtocolOptions`,
      ...options,
    },
  };
}

function authCluster(settings: EnvoySettings): Json {
  return cluster("auth", settings.authGrpc, {
    lb_policy: "RING_HASH",
    ring_hash_lb_config: { minimum_ring_size: 1_024 },
    typed_extension_protocol_options: protocol({
      explicit_http_config: { http2_protocol_options: {} },
    }),
    circuit_breakers: { thresholds: [{ max_connections: 100, max_requests: 4_096, max_retries: 16 }] },
    outlier_detection: {
      consecutive_5xx: 5,
      consecutive_gateway_failure: 3,
      enforcing_consecutive_gateway_failure: 100,
      split_external_local_origin_errors: true,
      consecutive_local_origin_failure: 3,
      interval: milliseconds(settings.outlierIntervalMs ?? 5_000),
      base_ejection_time: milliseconds(settings.ejectionMs ?? 30_000),
      max_ejection_percent: 50,
      enforcing_success_rate: 0,
    },
  });
}

function edgeCluster(settings: EnvoySettings): Json {
  return cluster("auth-edge", settings.authHttp, { lb_policy: "ROUND_ROBIN" });
}

function upstreamCluster(settings: EnvoySettings): Json {
  return cluster("upstream", settings.upstream, {
    lb_policy: "LEAST_REQUEST",
    typed_extension_protocol_options: protocol({
      use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {} },
    }),
  });
}
