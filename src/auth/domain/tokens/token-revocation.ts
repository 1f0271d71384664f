import type { Revocation } from "../revocations.ts";
import type { TokenDescription } from "./introspection.ts";

/**
 * What is to be revoked by whoever presents a token: an access token or an API key alone; with a session token or a refresh token the
 * session, and so all that came of it (RFC 7009 section 2.1).
 */
export function revocationOf({ use, tokenId, sessionId, expireTime }: TokenDescription): Revocation {
  switch (use) {
    case "access_token":
      return { kind: "token", tokenId: tokenId!, expireTime: expireTime! };
    case "api_key":
      return { kind: "apiKey", keyId: tokenId! };
    case "session":
    case "refresh_token":
      return { kind: "session", sessionId: sessionId! };
  }
}
