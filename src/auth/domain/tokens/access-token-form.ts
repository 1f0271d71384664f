import type { JWTPayload } from "jose";
import * as v from "valibot";
import type { ExternalIdentity } from "../external/external-identity.ts";
import type { Attributes } from "../principal.ts";
import type { AccessToken } from "./access-tokens.ts";
import { parseScopes } from "./scopes.ts";
import { parseTokenId } from "./token-id.ts";

/** `typ` of access tokens (RFC 9068 section 2.1). Tokens for other purposes have another. */
export const tokenType = "at+jwt";

/** Longest header that is read, in characters of base64url; ours take about 120. */
const maxHeaderLength = 512;

// Strict: a header that brings or points to a key (jwk, jku, x5c, x5u), or asks for what we do not know (crit, b64), is none
// of ours.
const headerSchema = v.strictObject({ alg: v.string(), typ: v.literal(tokenType), kid: v.string() });

const text = v.pipe(v.string(), v.minLength(1), v.maxLength(1_024));
const claimsSchema = v.object({
  sub: text,
  aud: v.union([text, v.pipe(v.array(text), v.minLength(1), v.maxLength(16))]),
  jti: text,
  iat: v.number(),
  exp: v.number(),
  principal_type: v.picklist(["User", "Client", "Workload"]),
  sid: v.optional(text),
  client_id: v.optional(text),
  scope: v.optional(v.string(), ""),
  amr: v.optional(v.array(text), []),
  external: v.optional(
    v.object({
      issuer: text,
      roles: v.optional(v.pipe(v.array(text), v.maxLength(64))),
      attributes: v.optional(v.record(v.string(), v.unknown())),
    }),
  ),
});

/** The protected header of one of our tokens; undefined when it is not. Nothing of it is verified yet. */
export function parseHeader(encoded: string): { readonly alg: string; readonly kid: string } | undefined {
  if (encoded.length > maxHeaderLength) return undefined;
  try {
    const result = v.safeParse(headerSchema, JSON.parse(Buffer.from(encoded, "base64url").toString("utf8")));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}

/** The claims of one of our tokens; undefined when they are not. */
export function parseClaims(payload: JWTPayload): AccessToken | undefined {
  const result = v.safeParse(claimsSchema, payload);
  if (!result.success) return undefined;
  const { sub, aud, jti, exp, principal_type, sid, client_id, scope, amr, external } = result.output;
  const scopes = parseScopes(scope);
  const issued = parseTokenId(jti);
  if (scopes === undefined || issued === undefined) return undefined;
  return {
    id: jti,
    principalType: principal_type,
    subject: sub,
    ...(sid === undefined ? {} : { sessionId: sid }),
    ...(client_id === undefined ? {} : { clientId: client_id }),
    scopes,
    audiences: typeof aud === "string" ? [aud] : aud,
    amr,
    ...(external === undefined ? {} : { external: externalIdentity(external) }),
    issueTime: issued.issueTime,
    expireTime: exp * 1_000,
  };
}

function externalIdentity(claim: {
  readonly issuer: string;
  readonly roles?: string[] | undefined;
  readonly attributes?: Record<string, unknown> | undefined;
}): ExternalIdentity {
  const { issuer, roles, attributes } = claim;
  return {
    issuer,
    ...(roles === undefined ? {} : { roles }),
    ...(attributes === undefined ? {} : { attributes: attributes as Attributes }),
  };
}
