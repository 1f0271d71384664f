import { create } from "@bufbuild/protobuf";
import {
  GetUserResponseSchema,
  IdentityService,
  ListUsersResponseSchema,
  type User,
} from "../../../gen/gatehouse/auth/v1/identity_service_pb.ts";
import type { Command } from "../command.ts";
import { json, usersText, userText } from "../identity-output.ts";
import { adminDetails, authOptions, jsonOption, withClient } from "../service-client.ts";

/** Shows a user. */
export const userGet: Command = {
  name: "user get",
  summary: "Show a user.",
  details: adminDetails,
  arguments: ["NAME"],
  options: { ...authOptions, ...jsonOption },
  async run({ positionals, values, out }) {
    const [name] = positionals as [string];
    const answer = await withClient(IdentityService, { values }, (client, options) =>
      client.getUser({ name }, options),
    );
    out(values.json ? json(GetUserResponseSchema, answer) : userText(answer.user!));
    return 0;
  },
};

/** Lists all users, however many pages they are. */
export const userList: Command = {
  name: "user list",
  summary: "List all users by name.",
  details: adminDetails,
  arguments: [],
  options: { ...authOptions, ...jsonOption },
  async run({ values, out }) {
    const users = await withClient(IdentityService, { values }, async (client, options) => {
      const all: User[] = [];
      for (let pageToken = ""; ; ) {
        const page = await client.listUsers({ pageSize: 1_000, pageToken }, options);
        all.push(...page.users);
        pageToken = page.nextPageToken;
        if (pageToken === "") return all;
      }
    });
    out(values.json ? json(ListUsersResponseSchema, create(ListUsersResponseSchema, { users })) : usersText(users));
    return 0;
  },
};
