import { type Awaitable, chain, chainAll } from "../../../shared/awaitable.ts";
import { notAuthenticated } from "../../errors.ts";
import type { ExternalTokens } from "../external/external-tokens.ts";
import type { Principal } from "../principal.ts";
import type { PrincipalLookup } from "../principals.ts";
import type { Verifier } from "./credential.ts";

export interface ExternalTokenVerifierOptions {
  readonly tokens: ExternalTokens;
  readonly principals: PrincipalLookup;
  /** Whether everything that was issued to a principal up to a time was revoked. */
  readonly isRevoked: (principal: Pick<Principal, "type" | "id">, issueTime: number) => Awaitable<boolean>;
}

/**
 * Verifies a token of another issuer. Its principal is what the issuer says, unless this service has disabled a user or a
 * client of the same name, or revoked what was issued to it. It opens no session.
 */
export function createExternalTokenVerifier(options: ExternalTokenVerifierOptions): Verifier<"externalToken"> {
  const { tokens, principals, isRevoked } = options;
  return ({ token: text }) =>
    chain(tokens(text), (token) => {
      if (token === undefined) throw notAuthenticated();
      const { type, id, identity, amr, issueTime, expireTime } = token;
      return chainAll(
        [principals(type, id, identity), isRevoked({ type, id }, issueTime)] as const,
        ([known, revoked]) => {
          if (known === undefined || revoked) throw notAuthenticated();
          return { principal: known.principal, amr, expireTime, external: identity };
        },
      );
    });
}
