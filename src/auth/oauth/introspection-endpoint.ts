import type { OAuthClient } from "../domain/clients.ts";
import type { Introspect, TokenDescription } from "../domain/tokens/introspection.ts";
import type { Form } from "./form.ts";

/** Answers the body of an introspection response (RFC 7662 section 2.2). */
export async function introspectionResponse(introspect: Introspect, issuer: string, form: Form): Promise<object> {
  const description = await introspect(form.require("token"));
  return description === undefined ? { active: false } : { active: true, iss: issuer, ...members(description) };
}

function members(description: TokenDescription): object {
  const { use, principal, tokenId, sessionId, clientId, scopes, audiences, issueTime, expireTime } = description;
  const [audience] = audiences;
  return {
    token_use: use,
    sub: principal.id,
    ...(principal.type === "User" ? { username: principal.id } : {}),
    principal_type: principal.type,
    ...(use === "refresh_token" ? {} : { token_type: "Bearer" }),
    ...(tokenId === undefined ? {} : { jti: tokenId }),
    ...(sessionId === undefined ? {} : { sid: sessionId }),
    ...(clientId === undefined ? {} : { client_id: clientId }),
    ...(scopes.length === 0 ? {} : { scope: scopes.join(" ") }),
    ...(audience === undefined ? {} : { aud: audiences.length === 1 ? audience : audiences }),
    iat: Math.floor(issueTime / 1_000),
    ...(expireTime === undefined ? {} : { exp: Math.floor(expireTime / 1_000) }),
  };
}

/** Whether a client may revoke a token: its own, or one that was issued to no client, which it holds (RFC 7009 section 2.1). */
export function mayRevoke({ id }: OAuthClient, { clientId }: TokenDescription): boolean {
  return clientId === undefined || clientId === id;
}
