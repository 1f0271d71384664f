import type { Awaitable } from "../../../shared/awaitable.ts";
import type { ApiKey } from "../api-keys.ts";
import type { ExternalIdentity } from "../external/external-identity.ts";
import type { Principal } from "../principal.ts";
import type { SecondFactorProof } from "../second-factors.ts";
import type { Session } from "../sessions.ts";
import type { AccessToken } from "../tokens/access-tokens.ts";

/** What a caller presents to say who it is. */
export type Credential =
  | {
      readonly kind: "password";
      readonly username: string;
      readonly password: string;
      readonly secondFactor?: SecondFactorProof;
    }
  | { readonly kind: "bearerToken"; readonly token: string }
  | { readonly kind: "apiKey"; readonly key: string }
  | { readonly kind: "client"; readonly clientId: string; readonly clientSecret: string }
  | { readonly kind: "externalToken"; readonly token: string }
  | { readonly kind: "peer" };

export type CredentialKind = Credential["kind"];

/** A credential of one kind. */
export type CredentialOf<K extends CredentialKind> = Extract<Credential, { kind: K }>;

/** What else is known of an attempt. */
export interface Attempt {
  /** Aborts when the caller no longer waits. */
  readonly signal?: AbortSignal;
  /** Address of the peer, without its port. */
  readonly peerAddress: string;
  /** Names the call, as in `x-request-id`. */
  readonly requestId?: string;
  /** SPIFFE id in the certificate of the connection, which was verified. */
  readonly peerPrincipal?: string;
  /** Value of `x-forwarded-client-cert`, which anybody may write. */
  readonly forwardedClientCert?: string;
  /** Value of `x-forwarded-for`, which anybody may write. */
  readonly forwardedFor?: string;
  /** W3C `traceparent` of the call. */
  readonly traceparent?: string;
}

/** Whom a credential belongs to. */
export interface Authentication {
  readonly principal: Principal;
  /** Methods that were used (RFC 8176). */
  readonly amr: readonly string[];
  readonly session?: Session;
  /** Opens the session. Only when it was just opened. Secret. */
  readonly sessionToken?: string;
  /** What the credential says, when it was an access token. */
  readonly accessToken?: AccessToken;
  /** When the credential expires, in milliseconds since the epoch. */
  readonly expireTime?: number;
  /** The API key that was presented. It may not be good for all that its principal may do, see isInScope. */
  readonly apiKey?: ApiKey;
  /** What another issuer says of the principal. */
  readonly external?: ExternalIdentity;
}

/**
 * Verifies credentials of one kind.
 *
 * @throws ServiceError UNAUTHENTICATED when the credential is not valid; RESOURCE_EXHAUSTED, UNAVAILABLE.
 */
export type Verifier<K extends CredentialKind> = (
  credential: CredentialOf<K>,
  attempt: Attempt,
) => Awaitable<Authentication>;
