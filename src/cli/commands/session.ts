import { AuthService, RevokeResponseSchema } from "../../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { IdentityService, ListUserSessionsResponseSchema } from "../../../gen/gatehouse/auth/v1/identity_service_pb.ts";
import type { Command } from "../command.ts";
import { json, sessionsText } from "../identity-output.ts";
import { adminDetails, authOptions, jsonOption, withClient } from "../service-client.ts";

/** Lists the live sessions of a user. */
export const sessionList: Command = {
  name: "session list",
  summary: "List the live sessions of a user, newest first.",
  details: adminDetails,
  arguments: ["USER"],
  options: { ...authOptions, ...jsonOption },
  async run({ positionals, values, out }) {
    const [name] = positionals as [string];
    const answer = await withClient(IdentityService, { values }, (client, options) =>
      client.listUserSessions({ name }, options),
    );
    out(values.json ? json(ListUserSessionsResponseSchema, answer) : sessionsText(answer.sessions));
    return 0;
  },
};

type Target = { readonly case: "sessionId" | "user"; readonly value: string };

/** A command that revokes what its argument names. */
function ending(
  command: Pick<Command, "name" | "summary" | "arguments">,
  target: Target["case"],
  what: string,
): Command {
  return {
    ...command,
    details: adminDetails,
    options: { ...authOptions, ...jsonOption },
    async run({ positionals, values, out }) {
      const [value] = positionals as [string];
      const answer = await withClient(AuthService, { values }, (client, options) =>
        client.revoke({ target: { case: target, value } }, options),
      );
      out(values.json ? json(RevokeResponseSchema, answer) : what);
      return 0;
    },
  };
}

/** Ends one session. */
export const sessionEnd: Command = ending(
  { name: "session end", summary: "End a session by its id, with all tokens that came of it.", arguments: ["ID"] },
  "sessionId",
  "the session is over",
);

/** Ends all sessions of a user. */
export const sessionEndAll: Command = ending(
  { name: "session end-all", summary: "End all sessions of a user, with all tokens.", arguments: ["USER"] },
  "user",
  "all sessions are over",
);
