import { assertionAlgorithms } from "../domain/oauth/client-authenticator.ts";
import { signingAlgorithms } from "../domain/tokens/signing-keys.ts";
import { grantTypes } from "./token-endpoint.ts";

/** Paths of the endpoints. */
export const paths = {
  jwks: "/.well-known/jwks.json",
  metadata: "/.well-known/oauth-authorization-server",
  openid: "/.well-known/openid-configuration",
  token: "/oauth/token",
  introspect: "/oauth/introspect",
  revoke: "/oauth/revoke",
} as const;

/** Metadata of the authorization server (RFC 8414 section 2). There is no authorization endpoint, hence no response type. */
export function serverMetadata(issuer: string, scopes: readonly string[]): object {
  const confidential = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
  const withAlgorithms = (endpoint: string, methods: readonly string[]): object => ({
    [`${endpoint}_endpoint_auth_methods_supported`]: methods,
    [`${endpoint}_endpoint_auth_signing_alg_values_supported`]: assertionAlgorithms,
  });
  return {
    issuer,
    token_endpoint: issuer + paths.token,
    ...withAlgorithms("token", [...confidential, "none"]),
    introspection_endpoint: issuer + paths.introspect,
    ...withAlgorithms("introspection", confidential),
    revocation_endpoint: issuer + paths.revoke,
    ...withAlgorithms("revocation", [...confidential, "none"]),
    jwks_uri: issuer + paths.jwks,
    grant_types_supported: [...grantTypes.keys()],
    response_types_supported: [],
    scopes_supported: scopes,
  };
}

/** The same, with what OpenID Connect Discovery 1.0 section 3 requires, for those who know no other document. */
export function openidConfiguration(issuer: string, scopes: readonly string[]): object {
  return {
    ...serverMetadata(issuer, scopes),
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: signingAlgorithms,
  };
}
