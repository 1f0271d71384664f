import { chain } from "../../../shared/awaitable.ts";
import { notAuthenticated } from "../../errors.ts";
import { looksLikeJwt } from "../tokens/access-tokens.ts";
import type { LiveTokens } from "../tokens/live-tokens.ts";
import type { Verifier } from "./credential.ts";

/** Verifies an access token that was issued for an audience. Roles and attributes are those of now. */
export function createAccessTokenVerifier(liveTokens: LiveTokens, audience: string): Verifier<"bearerToken"> {
  return ({ token: text }) =>
    chain(liveTokens(text, true), (live) => {
      if (live === undefined || !live.token.audiences.includes(audience)) throw notAuthenticated();
      const { token, principal, session } = live;
      return {
        principal,
        amr: token.amr,
        ...(session === undefined ? {} : { session }),
        accessToken: token,
        ...(token.external === undefined ? {} : { external: token.external }),
        expireTime: token.expireTime,
      };
    });
}

/** Verifies a bearer token by its form: access tokens are JWTs, session tokens are opaque. */
export function createBearerTokenVerifier(
  sessionToken: Verifier<"bearerToken">,
  accessToken: Verifier<"bearerToken">,
): Verifier<"bearerToken"> {
  return (credential, attempt) => (looksLikeJwt(credential.token) ? accessToken : sessionToken)(credential, attempt);
}
