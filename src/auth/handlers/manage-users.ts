import type { IdentityService } from "../../../gen/gatehouse/auth/v1/identity_service_pb.ts";
import { toSession } from "../convert.ts";
import { conditionsOf, nameOfPageToken, pageTokenOf, toUser, userToCreate, userUpdateOf } from "../convert-identity.ts";
import type { Sessions } from "../domain/sessions.ts";
import type { Users } from "../domain/users.ts";
import type { GuardedHandlers } from "../guard.ts";

const defaultPageSize = 100;

/** The methods of IdentityService about users, their passwords and sessions. */
export function createUserHandlers(users: Users, sessions: Sessions): GuardedHandlers<typeof IdentityService> {
  return {
    createUser: async (request, { signal }) => ({ user: toUser(await users.create(userToCreate(request), signal)) }),
    getUser: async ({ name }) => ({ user: toUser(await users.get(name)) }),
    async listUsers({ pageSize, pageToken }) {
      const size = pageSize || defaultPageSize;
      // One more than the page tells whether there is another.
      const found = await users.list(nameOfPageToken(pageToken), size + 1);
      const page = found.slice(0, size);
      const last = page.at(-1);
      const nextPageToken = found.length > size && last !== undefined ? pageTokenOf(last.name) : "";
      return { users: page.map(toUser), nextPageToken };
    },
    async updateUser(request) {
      return { user: toUser(await users.update(request.name, userUpdateOf(request), conditionsOf(request))) };
    },
    async setPassword(request, { signal }) {
      const { name, password } = request;
      return { user: toUser(await users.setPassword(name, password, conditionsOf(request), signal)) };
    },
    async deleteUser(request) {
      await users.remove(request.name, conditionsOf(request));
      return {};
    },
    async listUserSessions({ name }) {
      const user = await users.get(name);
      return { sessions: (await sessions.list(user.name)).map(toSession) };
    },
  };
}
