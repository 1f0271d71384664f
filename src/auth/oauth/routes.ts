import { hash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "pino";
import type { Route } from "../../shared/rpc/edge/routes.ts";
import { isPublicClient, type OAuthClient } from "../domain/clients.ts";
import type { ClientAuthenticator } from "../domain/oauth/client-authenticator.ts";
import type { Revocations } from "../domain/revocations.ts";
import type { Introspect } from "../domain/tokens/introspection.ts";
import type { KeyRing } from "../domain/tokens/key-ring.ts";
import { revocationOf } from "../domain/tokens/token-revocation.ts";
import { type Form, readForm } from "./form.ts";
import { introspectionResponse, mayRevoke } from "./introspection-endpoint.ts";
import { openidConfiguration, paths, serverMetadata } from "./metadata.ts";
import { invalidClient, OAuthError, toOAuthError } from "./oauth-error.ts";
import { presentedClient } from "./presented-client.ts";
import type { TokenEndpoint } from "./token-endpoint.ts";

export interface OAuthRoutesOptions {
  readonly issuer: string;
  readonly scopes: readonly string[];
  readonly keys: KeyRing;
  readonly authenticateClient: ClientAuthenticator;
  readonly token: TokenEndpoint;
  readonly introspect: Introspect;
  readonly revocations: Revocations;
  readonly logger: Logger;
  /** How long the JWKS and the metadata may be cached, in seconds: less than a new key is published before it signs. */
  readonly maxAgeSeconds: number;
}

/** Answers the body of a success, or undefined for none. Throws what toOAuthError knows. */
type Endpoint = (client: OAuthClient, form: Form, request: IncomingMessage) => Promise<object | undefined>;

/** The OAuth 2.0 routes of the HTTP edge. */
export function oauthRoutes(options: OAuthRoutesOptions): Route[] {
  const { issuer, scopes, keys, authenticateClient, token, introspect, revocations, logger, maxAgeSeconds } = options;

  function get(path: string, document: () => object | Promise<object>): Route {
    return {
      method: "GET",
      path,
      handle: (request, response) =>
        answer(response, async () => sendCacheable(request, response, await document(), maxAgeSeconds)),
    };
  }

  function post(path: string, endpoint: Endpoint): Route {
    return {
      method: "POST",
      path,
      handle: (request, response) =>
        answer(response, async () => {
          const form = await readForm(request);
          const client = await authenticateClient(presentedClient(request.headers.authorization, form));
          if (client === undefined) throw invalidClient();
          send(response, 200, await endpoint(client, form, request));
        }),
    };
  }

  async function answer(response: ServerResponse, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (thrown) {
      const error = toOAuthError(thrown);
      if (error.status === 500) logger.error({ err: error.cause }, "an OAuth endpoint failed");
      send(response, error.status, { error: error.code, error_description: error.message }, error.headers);
    }
  }

  return [
    get(paths.jwks, async () => ({ keys: await keys.published() })),
    get(paths.metadata, () => serverMetadata(issuer, scopes)),
    get(paths.openid, () => openidConfiguration(issuer, scopes)),
    post(paths.token, (client, form, request) => token(client, form, attemptOf(request))),
    post(paths.introspect, async (client, form) => {
      // RFC 7662 section 2.1: nobody may go through tokens to find a good one.
      if (isPublicClient(client)) throw invalidClient();
      return await introspectionResponse(introspect, issuer, form);
    }),
    post(paths.revoke, async (client, form) => {
      const description = await introspect(form.require("token"));
      if (description === undefined) return undefined;
      if (!mayRevoke(client, description)) {
        throw new OAuthError("unauthorized_client", "The token was issued to another client.");
      }
      await revocations.revoke(revocationOf(description));
      return undefined;
    }),
  ];
}

function attemptOf(request: IncomingMessage): { readonly peerAddress: string } {
  return { peerAddress: request.socket.remoteAddress ?? "unknown" };
}

/** Nothing that has to do with tokens may be cached (RFC 6749 section 5.1). */
function send(
  response: ServerResponse,
  status: number,
  body: object | undefined,
  headers: Readonly<Record<string, string>> = {},
): void {
  const json = { "content-type": "application/json; charset=utf-8" };
  response
    .writeHead(status, {
      ...(body === undefined ? {} : json),
      "cache-control": "no-store",
      pragma: "no-cache",
      ...headers,
    })
    .end(body === undefined ? "" : `${JSON.stringify(body)}\n`);
}

function sendCacheable(request: IncomingMessage, response: ServerResponse, body: object, maxAgeSeconds: number): void {
  const text = `${JSON.stringify(body)}\n`;
  const etag = `"${hash("sha256", text, "base64url").slice(0, 22)}"`;
  const headers = { "cache-control": `public, max-age=${maxAgeSeconds}`, etag };
  if (request.headers["if-none-match"] === etag) {
    response.writeHead(304, headers).end();
    return;
  }
  response.writeHead(200, { ...headers, "content-type": "application/json; charset=utf-8" }).end(text);
}
