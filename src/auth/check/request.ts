/** A request that a proxy asks about, before it lets it through. What a caller can choose is marked; nothing of it is trusted. */
export interface CheckedRequest {
  /** As the caller sent it. */
  readonly method: string;
  /** `Host` or `:authority`, as the caller sent it. */
  readonly host: string;
  /** Path and query, as the caller sent them or as the proxy normalized them: what the workload will see. */
  readonly target: string;
  readonly scheme: string;
  /** Value of a header by its lower-case name, as the caller sent it; repeated ones are joined by commas. */
  header(name: string): string | undefined;
  /** Lower-case names of all headers. */
  readonly headerNames: readonly string[];
  /** SPIFFE id in the certificate of whoever holds the connection; the proxy verified it. Empty without mutual TLS. */
  readonly sourcePrincipal: string;
  /** Address of whoever holds the connection. */
  readonly sourceAddress: string;
  /** SPIFFE id of the workload that the request is for: the proxy's own certificate. Empty without mutual TLS. */
  readonly destinationPrincipal: string;
}

/** Whether a request is native gRPC, and wants its refusal in that form. */
export function isGrpc(request: CheckedRequest): boolean {
  return /^application\/grpc(?:$|[+; ])/i.test(request.header("content-type") ?? "");
}
