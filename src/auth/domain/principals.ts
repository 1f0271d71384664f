import { type Awaitable, chain } from "../../shared/awaitable.ts";
import { type ClientStore, principalOfClient } from "./clients.ts";
import { type ExternalIdentity, externalPrincipal } from "./external/external-identity.ts";
import { type IdentityStore, principalOf } from "./identities.ts";
import type { Principal } from "./principal.ts";
import type { Session } from "./sessions.ts";
import { foldUserName } from "./user-name.ts";

/** Somebody who may be spoken for by a token. */
export interface KnownPrincipal {
  readonly principal: Principal;
  /** Epoch of the user's sessions: one of another is not valid. Only of users. */
  readonly sessionEpoch?: number;
}

/**
 * Looks up whom a token speaks for, as they are now; undefined when they are disabled or gone.
 *
 * One whom another issuer vouches for need not be known here, and is what that issuer says, but is not let in under the name
 * of somebody whom this service has disabled.
 */
export type PrincipalLookup = (
  type: Principal["type"],
  id: string,
  external?: ExternalIdentity,
) => Awaitable<KnownPrincipal | undefined>;

/** Users and clients are those of the stores. A workload is what its platform says: it has no more than its name here. */
export function createPrincipalLookup(identities: IdentityStore, clients: ClientStore): PrincipalLookup {
  function namesake(type: Principal["type"], id: string): Awaitable<{ readonly disabled: boolean } | undefined> {
    if (type === "Workload") return undefined;
    return type === "User" ? identities.findUser(foldUserName(id)) : clients.find(id);
  }

  return (type, id, external) => {
    if (external !== undefined) {
      const known = { principal: externalPrincipal(type, id, external) };
      return chain(namesake(type, id), (found) => (found?.disabled === true ? undefined : known));
    }
    switch (type) {
      case "User":
        return chain(identities.findUser(id), (user) =>
          user === undefined || user.disabled
            ? undefined
            : { principal: principalOf(user), sessionEpoch: user.sessionEpoch },
        );
      case "Client":
        return chain(clients.find(id), (client) =>
          client === undefined || client.disabled ? undefined : { principal: principalOfClient(client) },
        );
      case "Workload":
        return { principal: { type, id, roles: [], attributes: {} } };
    }
  };
}

/** Whether a session is one of a principal's, and of before no change that ended them all. */
export function isSessionOf(session: Session, { principal, sessionEpoch }: KnownPrincipal): boolean {
  return principal.type === "User" && session.user === principal.id && session.epoch === sessionEpoch;
}
