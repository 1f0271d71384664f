import { type Awaitable, chain } from "../../shared/awaitable.ts";
import { type ClientStore, principalOfClient } from "./clients.ts";
import { type IdentityStore, principalOf } from "./identities.ts";
import type { Principal } from "./principal.ts";

/** Looks up whom a token speaks for, as they are now; undefined when they are disabled or gone. */
export type PrincipalLookup = (type: Principal["type"], id: string) => Awaitable<Principal | undefined>;

/** Users and clients are those of the stores. A workload is what its platform says: it has no more than its name here. */
export function createPrincipalLookup(identities: IdentityStore, clients: ClientStore): PrincipalLookup {
  return (type, id) => {
    switch (type) {
      case "User":
        return chain(identities.findUser(id), (user) =>
          user === undefined || user.disabled ? undefined : principalOf(user),
        );
      case "Client":
        return chain(clients.find(id), (client) =>
          client === undefined || client.disabled ? undefined : principalOfClient(client),
        );
      case "Workload":
        return { type, id, roles: [], attributes: {} };
    }
  };
}
