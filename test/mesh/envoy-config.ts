import { clusters } from "./envoy-clusters.ts";
import { address, type EnvoySettings, type Json, milliseconds } from "./envoy-settings.ts";

const api = "type.googleapis.com/envoy.extensions";
const httpFilters = `${api}.filters.http`;

/**
 * The configuration that Istio would give a sidecar in front of a workload with the policies of k8s/istio/protect: filters
 * in Istio's order (rbac, ext_authz, jwt_authn, router), fail closed with 503, auth-service by ring hash on `user-id` with
 * outlier detection, and retries towards the workload.
 */
export function createEnvoyConfig(settings: EnvoySettings): Json {
  const { mutualTls, uncheckedPort, policy, callsPort, connectionsPort } = settings;
  const checked = [rbac(), externalAuthorization(settings), jwt(settings), router()];
  return {
    node: { id: "sidecar", cluster: "mesh-tests" },
    admin: { address: address(settings.adminPort) },
    static_resources: {
      listeners: [
        listener("inbound", settings.listenPort, manager("inbound", checked, workloadRoutes(settings))),
        ...(mutualTls === undefined
          ? []
          : [
              listener(
                "mutual-tls",
                mutualTls.port,
                manager("mutual-tls", checked, workloadRoutes(settings)),
                tls(mutualTls),
              ),
            ]),
        ...(uncheckedPort === undefined
          ? []
          : [listener("unchecked", uncheckedPort, manager("unchecked", [router()], workloadRoutes(settings)))]),
        ...(policy === undefined
          ? []
          : [
              listener(
                "policy",
                policy.port,
                manager("policy", [router()], [policyRoute("Evaluate", true), policyRoute("", false)]),
              ),
            ]),
        ...(callsPort === undefined ? [] : [listener("calls", callsPort, manager("calls", [router()], [authRoute()]))]),
        ...(connectionsPort === undefined ? [] : [listener("connections", connectionsPort, tcpProxy())]),
      ],
      clusters: clusters(settings),
    },
  };
}

function listener(name: string, port: number, filter: Json, socket?: { readonly [key: string]: Json }): Json {
  return { name, address: address(port), filter_chains: [{ filters: [filter], ...socket }] };
}

/** A peer without a certificate of the authority's is not let in at all, as PeerAuthentication STRICT has it. */
function tls({ cert, key, authority }: NonNullable<EnvoySettings["mutualTls"]>): { readonly [key: string]: Json } {
  const transport = {
    "@type": `${api}.transport_sockets.tls.v3.DownstreamTlsContext`,
    require_client_certificate: true,
    common_tls_context: {
      tls_certificates: [{ certificate_chain: { filename: cert }, private_key: { filename: key } }],
      validation_context: { trusted_ca: { filename: authority } },
    },
  };
  return { transport_socket: { name: "envoy.transport_sockets.tls", typed_config: transport } };
}

function manager(name: string, filters: readonly Json[], routes: readonly Json[]): Json {
  return {
    name: "envoy.filters.network.http_connection_manager",
    typed_config: {
      "@type": `${api}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: name,
      codec_type: "AUTO",
      // As pathNormalization DECODE_AND_MERGE_SLASHES has it.
      normalize_path: true,
      merge_slashes: true,
      path_with_escaped_slashes_action: "UNESCAPE_AND_FORWARD",
      http_filters: filters,
      route_config: { name, virtual_hosts: [{ name, domains: ["*"], routes }] },
    },
  };
}

function workloadRoutes({ upstreamGrpc }: EnvoySettings): Json[] {
  const route = (cluster: string): Json => ({
    cluster,
    timeout: "5s",
    retry_policy: retries("connect-failure,refused-stream,reset-before-request"),
  });
  return [
    ...(upstreamGrpc === undefined ? [] : [{ match: { prefix: "/", grpc: {} }, route: route("upstream-grpc") }]),
    { match: { prefix: "/" }, route: route("upstream") },
  ];
}

/** As k8s/istio/virtual-services.yaml has it: reads are retried on UNAVAILABLE too, streams have no timeout. */
function policyRoute(method: string, isRead: boolean): Json {
  const path = `/gatehouse.policy.v1.PolicyService/${method}`;
  if (!isRead) {
    // What Istio gives a route that names no retries.
    const retry_policy = retries("connect-failure,refused-stream,unavailable,cancelled");
    return { match: { prefix: path }, route: { cluster: "policy", timeout: "0s", retry_policy } };
  }
  const retryOn = "unavailable,connect-failure,refused-stream,reset-before-request";
  return {
    match: { path },
    route: { cluster: "policy", timeout: "0.5s", retry_policy: { ...retries(retryOn), per_try_timeout: "0.2s" } },
  };
}

function authRoute(): Json {
  return {
    match: { prefix: "/" },
    route: {
      cluster: "auth",
      timeout: "5s",
      hash_policy: [{ header: { header_name: "user-id" } }],
      retry_policy: retries("connect-failure,refused-stream,reset-before-request"),
    },
  };
}

function retries(on: string): { readonly [key: string]: Json } {
  return {
    retry_on: on,
    num_retries: 2,
    retry_host_predicate: [
      {
        name: "envoy.retry_host_predicates.previous_hosts",
        typed_config: { "@type": `${api}.retry.host.previous_hosts.v3.PreviousHostsPredicate` },
      },
    ],
    host_selection_retry_max_attempts: 5,
  };
}

function tcpProxy(): Json {
  return {
    name: "envoy.filters.network.tcp_proxy",
    typed_config: {
      "@type": `${api}.filters.network.tcp_proxy.v3.TcpProxy`,
      stat_prefix: "connections",
      cluster: "auth-connections",
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
          from_headers: [{ name: "x-gatehouse-jwt" }],
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
