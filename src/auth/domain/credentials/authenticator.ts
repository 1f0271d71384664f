import type { Awaitable } from "../../../shared/awaitable.ts";
import { credentialNotSupported } from "../../errors.ts";
import type { Attempt, Authentication, Credential, CredentialKind, Verifier } from "./credential.ts";

/** The kinds of credentials that this server accepts, each with its verifier. */
export type Verifiers = { readonly [K in CredentialKind]?: Verifier<K> };

/** Verifies a credential of any kind. */
export type Authenticator = (credential: Credential, attempt: Attempt) => Awaitable<Authentication>;

/**
 * Hands each credential to the verifier of its kind.
 *
 * One without a verifier is refused with UNIMPLEMENTED, reason CREDENTIAL_NOT_SUPPORTED.
 */
export function createAuthenticator(verifiers: Verifiers): Authenticator {
  return (credential, attempt) => {
    // The key and the credential agree, which TypeScript cannot see across the union.
    const verify = verifiers[credential.kind] as Verifier<CredentialKind> | undefined;
    if (verify === undefined) throw credentialNotSupported(credential.kind);
    return verify(credential, attempt);
  };
}
