/**
 * The authentication context class (`acr`, OpenID Connect Core section 2) of a sign-in by its methods: an authenticator
 * assurance level of NIST SP 800-63B, `aal2` for two factors and `aal1` for one.
 */
export function acrOf(amr: readonly string[]): "aal1" | "aal2" {
  return amr.includes("mfa") ? "aal2" : "aal1";
}
