import type { JWTPayload } from "jose";
import type { Attributes, Json } from "../principal.ts";
import { claimAt, externalSubject, type SubjectMapper } from "./claim-mapping.ts";

export interface ServiceAccountMapping {
  /** Trust domain of the mesh, the first part of its SPIFFE ids. */
  readonly trustDomain: string;
  /** Whether policies see what the token is bound to. */
  readonly attributes: boolean;
}

/** Names of namespaces (RFC 1123 labels) and of service accounts (RFC 1123 subdomains). */
const namespaceShape = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const nameShape = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

/**
 * Makes the workload of a Kubernetes service-account token: `Workload::"spiffe://<trust domain>/ns/<namespace>/sa/<name>"`,
 * the SPIFFE id that Istio gives it, so that it is the same principal by its token and by its certificate.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens
 */
export function createServiceAccountMapper(issuer: string, mapping: ServiceAccountMapping): SubjectMapper {
  return (claims) => {
    const namespace = claimAt(claims, ["kubernetes.io", "namespace"]);
    const name = claimAt(claims, ["kubernetes.io", "serviceaccount", "name"]);
    if (typeof namespace !== "string" || typeof name !== "string") return undefined;
    if (!namespaceShape.test(namespace) || !nameShape.test(name)) return undefined;
    if (claims.sub !== `system:serviceaccount:${namespace}:${name}`) return undefined;
    const id = `spiffe://${mapping.trustDomain}/ns/${namespace}/sa/${name}`;
    return externalSubject("Workload", id, [], {
      issuer,
      ...(mapping.attributes ? { attributes: boundTo(claims, namespace) } : {}),
    });
  };
}

/** What the token is bound to: `serviceAccount`, `pod`, `node` and `secret`, each with `name` and `uid`. */
function boundTo(claims: JWTPayload, namespace: string): Attributes {
  const attributes: Record<string, Json> = { namespace };
  for (const [attribute, claim] of [
    ["serviceAccount", "serviceaccount"],
    ["pod", "pod"],
    ["node", "node"],
    ["secret", "secret"],
  ] as const) {
    const [name, uid] = [
      claimAt(claims, ["kubernetes.io", claim, "name"]),
      claimAt(claims, ["kubernetes.io", claim, "uid"]),
    ];
    if (!isShortText(name)) continue;
    attributes[attribute] = isShortText(uid) ? { name, uid } : { name };
  }
  return attributes;
}

function isShortText(value: Json | undefined): value is string {
  return typeof value === "string" && value !== "" && value.length <= 253;
}
