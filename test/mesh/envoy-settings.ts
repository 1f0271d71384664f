/** Where a server listens on loopback. */
export interface Endpoint {
  readonly port: number;
}

/** What the proxy of the mesh tests stands between. All ports are of loopback. */
export interface EnvoySettings {
  /** Where the workload is reached, by way of all filters. */
  readonly listenPort: number;
  readonly adminPort: number;
  /** gRPC ports of the auth-service replicas, which are asked for each request. */
  readonly authGrpc: readonly Endpoint[];
  /** HTTP edges of the same replicas, where the public keys are fetched. */
  readonly authHttp: readonly Endpoint[];
  /** The protected workload, HTTP/1.1 without TLS. */
  readonly upstream: readonly Endpoint[];
  /** The protected workload, gRPC without TLS. */
  readonly upstreamGrpc?: readonly Endpoint[];
  /** Issuer of the tokens that the JWT filter verifies. */
  readonly issuer: string;
  /** Milliseconds that a check may take; 250, as k8s/istio/control-plane.yaml has it. */
  readonly checkTimeoutMs?: number;
  /** Milliseconds between sweeps of the outlier detection; 5,000, as k8s/istio/destination-rules.yaml has it. */
  readonly outlierIntervalMs?: number;
  /** Milliseconds that an ejection lasts at first; 30,000 by default. */
  readonly ejectionMs?: number;
  /** Where the same workload is reached without any check. */
  readonly uncheckedPort?: number;
  /** The way out of auth-service's own sidecar: where it reaches policy-service. */
  readonly policy?: { readonly port: number; readonly grpc: readonly Endpoint[] };
  /** The way out of a caller's sidecar: where auth-service's RPCs are reached, by ring hash on `user-id`. */
  readonly callsPort?: number;
  /** A balancer of connections, as a ClusterIP is: where auth-service is reached without a sidecar. */
  readonly connectionsPort?: number;
  /** The same workload by mutual TLS, as sidecars speak to each other: files of the workload's certificate, and of the authority's. */
  readonly mutualTls?: {
    readonly port: number;
    readonly cert: string;
    readonly key: string;
    readonly authority: string;
  };
  /** auth-service serves TLS of its own: files of the authority and of the client's certificate and key, which are followed. */
  readonly authTls?: { readonly directory: string; readonly authority: string; readonly serverName: string };
  /** Directory of endpoint files (envoy-endpoints.ts) that are followed, in place of the lists of replicas above. */
  readonly endpoints?: string;
}

/** Any value of a JSON document. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

export function address(port: number): Json {
  return { socket_address: { address: "127.0.0.1", port_value: port } };
}

export function milliseconds(ms: number): string {
  return `${(ms / 1_000).toFixed(3)}s`;
}
