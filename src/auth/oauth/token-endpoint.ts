import { type ClientGrant, isPublicClient, type OAuthClient } from "../domain/clients.ts";
import type { Clock } from "../domain/clock.ts";
import type { Attempt } from "../domain/credentials/credential.ts";
import { AudienceError, type ExchangeRequest, type GrantRequest, type Grants } from "../domain/oauth/grants.ts";
import { parseScopes } from "../domain/tokens/scopes.ts";
import type { TokenIssuer, TokenSet } from "../domain/tokens/token-issuer.ts";
import type { Form } from "./form.ts";
import { OAuthError, toOAuthError } from "./oauth-error.ts";

const tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange";
const accessTokenType = "urn:ietf:params:oauth:token-type:access_token";
const jwtType = "urn:ietf:params:oauth:token-type:jwt";
const idTokenType = "urn:ietf:params:oauth:token-type:id_token";

/** Grants by their `grant_type`. */
export const grantTypes: ReadonlyMap<string, ClientGrant> = new Map([
  ["client_credentials", "client_credentials"],
  ["refresh_token", "refresh_token"],
  [tokenExchange, "token_exchange"],
]);

export interface TokenEndpointOptions {
  readonly grants: Grants;
  readonly issuer: TokenIssuer;
  readonly clock: Clock;
}

/** Answers the body of a token response (RFC 6749 section 5.1) for a client that has authenticated. */
export type TokenEndpoint = (client: OAuthClient, form: Form, attempt: Attempt) => Promise<object>;

/** @throws OAuthError */
export function createTokenEndpoint({ grants, issuer, clock }: TokenEndpointOptions): TokenEndpoint {
  function response({ accessToken, expireTime, refreshToken, scopes }: TokenSet): object {
    return {
      access_token: accessToken,
      token_type: "Bearer",
      expires_in: Math.max(0, Math.floor((expireTime - clock()) / 1_000)),
      ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
      ...(scopes.length === 0 ? {} : { scope: scopes.join(" ") }),
    };
  }

  return async (client, form, attempt) => {
    const grant = grantTypes.get(form.require("grant_type"));
    if (grant === undefined) throw new OAuthError("unsupported_grant_type", "This grant type is not supported.");
    // A public client cannot prove who it is, so it gets nothing for its name; a refresh token speaks for itself.
    if (!client.grants.includes(grant) || (isPublicClient(client) && grant !== "refresh_token")) {
      throw new OAuthError("unauthorized_client", "The client may not use this grant type.");
    }
    try {
      switch (grant) {
        case "client_credentials":
          return response(await grants.clientCredentials(grantRequest(client, form)));
        case "refresh_token": {
          const { scopes } = grantRequest(client, form);
          return response(await issuer.refresh({ token: form.require("refresh_token"), scopes, client }));
        }
        case "token_exchange": {
          const tokens = await grants.exchange(exchangeRequest(client, form, attempt));
          return { ...response(tokens), issued_token_type: accessTokenType };
        }
      }
    } catch (error) {
      if (error instanceof AudienceError) throw new OAuthError("invalid_target", error.message);
      // RFC 8693 section 2.2.2 has another name for it than RFC 6749 section 5.2.
      throw toOAuthError(error, grant === "token_exchange" ? "invalid_request" : "invalid_grant");
    }
  };
}

function grantRequest(client: OAuthClient, form: Form): GrantRequest {
  const scopes = parseScopes(form.get("scope") ?? "");
  if (scopes === undefined) throw new OAuthError("invalid_scope", "A scope is malformed, or there are too many.");
  return { client, scopes, audiences: [...form.all("audience"), ...form.all("resource")] };
}

function exchangeRequest(client: OAuthClient, form: Form, attempt: Attempt): ExchangeRequest {
  if (form.get("actor_token") !== undefined || form.get("actor_token_type") !== undefined) {
    throw new OAuthError("invalid_request", "Actor tokens are not supported.");
  }
  const requested = form.get("requested_token_type") ?? accessTokenType;
  if (requested !== accessTokenType && requested !== jwtType) {
    throw new OAuthError("invalid_request", "Tokens of the requested type are not issued.");
  }
  return {
    ...grantRequest(client, form),
    subjectToken: form.require("subject_token"),
    from: originOf(form.require("subject_token_type")),
    attempt,
  };
}

function originOf(tokenType: string): ExchangeRequest["from"] {
  switch (tokenType) {
    case accessTokenType:
      return "gatehouse";
    case jwtType:
    case idTokenType:
      return "other issuer";
    default:
      throw new OAuthError("invalid_request", "Subject tokens of this type are not accepted.");
  }
}
