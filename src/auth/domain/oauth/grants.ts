import { notAuthenticated, scopeNotAllowed } from "../../errors.ts";
import type { OAuthClient } from "../clients.ts";
import type { Authenticator } from "../credentials/authenticator.ts";
import type { Attempt } from "../credentials/credential.ts";
import type { ExternalIdentity } from "../external/external-identity.ts";
import type { Principal } from "../principal.ts";
import type { AccessTokens } from "../tokens/access-tokens.ts";
import type { Introspect } from "../tokens/introspection.ts";
import { grantedScopes } from "../tokens/scopes.ts";
import type { TokenIssuer, TokenSet } from "../tokens/token-issuer.ts";

/** What a client asks of its token. */
export interface GrantRequest {
  readonly client: OAuthClient;
  /** Default: all that can be had. */
  readonly scopes: readonly string[];
  /** Default: that of this service. */
  readonly audiences: readonly string[];
}

/** A token to be exchanged (RFC 8693 section 2.1). */
export interface ExchangeRequest extends GrantRequest {
  readonly subjectToken: string;
  /** Whether it is one of ours, or a JWT of another issuer. */
  readonly from: "gatehouse" | "other issuer";
  readonly attempt: Attempt;
}

/**
 * Grants of an OAuth client that has authenticated and may use them.
 *
 * @throws ServiceError UNAUTHENTICATED when a token is not valid; INVALID_ARGUMENT, reason SCOPE_NOT_ALLOWED; UNAVAILABLE
 * @throws AudienceError
 */
export interface Grants {
  /** A token for the client itself (RFC 6749 section 4.4). */
  clientCredentials(request: GrantRequest): Promise<TokenSet>;
  /**
   * A token for whom the subject token speaks for, no stronger than that: of the same session, of no more scopes, for no
   * longer (RFC 8693).
   */
  exchange(request: ExchangeRequest): Promise<TokenSet>;
}

/** A client wants a token for an audience that is none of its own. */
export class AudienceError extends Error {
  override readonly name = "AudienceError";
}

export interface GrantsOptions {
  readonly tokens: AccessTokens;
  readonly issuer: TokenIssuer;
  readonly introspect: Introspect;
  readonly authenticate: Authenticator;
}

interface Subject {
  readonly principal: Principal;
  readonly scopes: readonly string[];
  readonly amr: readonly string[];
  readonly external?: ExternalIdentity;
  readonly sessionId?: string;
  readonly notAfter?: number;
}

export function createGrants({ tokens, issuer, introspect, authenticate }: GrantsOptions): Grants {
  function audiencesOf({ client, audiences }: GrantRequest): { readonly audiences?: readonly string[] } {
    const distinct = [...new Set(audiences)];
    if (!distinct.every((audience) => audience === tokens.audience || client.audiences.includes(audience))) {
      throw new AudienceError("The client may not have tokens for this audience.");
    }
    return distinct.length === 0 ? {} : { audiences: distinct };
  }

  /** A token of ours that was meant for us or for the client. */
  async function ownSubject({ subjectToken, client }: ExchangeRequest): Promise<Subject> {
    const description = await introspect(subjectToken);
    if (description === undefined || description.use === "refresh_token" || description.use === "api_key")
      throw notAuthenticated();
    const { use, principal, audiences, sessionId, expireTime, external } = description;
    const meant = use === "session" || audiences.includes(tokens.audience) || audiences.includes(client.id);
    if (!meant) throw notAuthenticated();
    return {
      principal,
      scopes: use === "session" ? await issuer.allowedScopes(principal) : description.scopes,
      amr: description.amr,
      ...(external === undefined ? {} : { external }),
      ...(sessionId === undefined ? {} : { sessionId }),
      ...(use === "session" || expireTime === undefined ? {} : { notAfter: expireTime }),
    };
  }

  async function foreignSubject({ subjectToken, attempt }: ExchangeRequest): Promise<Subject> {
    const credential = { kind: "externalToken", token: subjectToken } as const;
    const { principal, amr, expireTime, external } = await authenticate(credential, attempt);
    return {
      principal,
      scopes: await issuer.allowedScopes(principal),
      amr,
      ...(external === undefined ? {} : { external }),
      ...(expireTime === undefined ? {} : { notAfter: expireTime }),
    };
  }

  return {
    async clientCredentials(request) {
      const { client, scopes: wanted } = request;
      const scopes = grantedScopes(wanted, client.scopes);
      if (scopes === undefined) throw scopeNotAllowed();
      return await issuer.grant({
        principalType: "Client",
        subject: client.id,
        clientId: client.id,
        scopes,
        amr: [],
        ...audiencesOf(request),
      });
    },
    async exchange(request) {
      const { client, scopes: wanted, from } = request;
      const audiences = audiencesOf(request);
      const {
        principal,
        scopes: held,
        ...subject
      } = await (from === "gatehouse" ? ownSubject : foreignSubject)(request);
      const scopes = grantedScopes(
        wanted,
        held.filter((scope) => client.scopes.includes(scope)),
      );
      if (scopes === undefined) throw scopeNotAllowed();
      return await issuer.grant({
        principalType: principal.type,
        subject: principal.id,
        clientId: client.id,
        scopes,
        ...subject,
        ...audiences,
      });
    },
  };
}
