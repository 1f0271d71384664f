import { notAuthenticated } from "../../errors.ts";
import { principalOfClient } from "../clients.ts";
import type { ClientAuthenticator } from "../oauth/client-authenticator.ts";
import type { Verifier } from "./credential.ts";

/** Verifies the id and the secret of an OAuth client. It opens no session. */
export function createClientVerifier(authenticateClient: ClientAuthenticator): Verifier<"client"> {
  return async ({ clientId: id, clientSecret: secret }) => {
    const client = await authenticateClient({ kind: "secret", id, secret });
    if (client === undefined) throw notAuthenticated();
    return { principal: principalOfClient(client), amr: [] };
  };
}
