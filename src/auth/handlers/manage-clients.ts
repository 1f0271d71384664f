import type { IdentityService } from "../../../gen/gatehouse/auth/v1/identity_service_pb.ts";
import { clientToCreate, clientUpdateOf, toClient } from "../convert-clients.ts";
import { nameOfPageToken, pageTokenOf } from "../convert-identity.ts";
import type { ClientAdmin } from "../domain/client-admin.ts";
import type { GuardedHandlers } from "../guard.ts";

const defaultPageSize = 100;

/** The methods of IdentityService about OAuth clients. */
export function createClientHandlers(clients: ClientAdmin): GuardedHandlers<typeof IdentityService> {
  return {
    async createClient(request) {
      const { client, secret } = await clients.create(clientToCreate(request));
      return { client: toClient(client), secret };
    },
    getClient: async ({ id }) => ({ client: toClient(await clients.get(id)) }),
    async listClients({ pageSize, pageToken }) {
      const size = pageSize || defaultPageSize;
      // One more than the page tells whether there is another.
      const found = await clients.list(nameOfPageToken(pageToken), size + 1);
      const page = found.slice(0, size);
      const last = page.at(-1);
      const nextPageToken = found.length > size && last !== undefined ? pageTokenOf(last.id) : "";
      return { clients: page.map(toClient), nextPageToken };
    },
    async updateClient(request) {
      return { client: toClient(await clients.update(request.id, clientUpdateOf(request))) };
    },
    async rotateClientSecret({ id, keepCurrent }) {
      const { client, secret } = await clients.rotateSecret(id, keepCurrent);
      return { client: toClient(client), secret };
    },
    async deleteClient({ id }) {
      await clients.remove(id);
      return {};
    },
  };
}
