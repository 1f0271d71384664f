import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  CreateApiKeyResponseSchema,
  IdentityService,
  ListApiKeysResponseSchema,
} from "../../../gen/gatehouse/auth/v1/identity_service_pb.ts";
import type { Command } from "../command.ts";
import { apiKeysText, json } from "../identity-output.ts";
import { expiryOf, listOf } from "../option-values.ts";
import { adminDetails, authOptions, jsonOption, withClient } from "../service-client.ts";

/** Makes an API key. */
export const keyCreate: Command = {
  name: "key create",
  summary: "Make an API key of a user, and write it to standard output, once.",
  details: adminDetails,
  arguments: ["USER"],
  options: {
    name: { type: "string", default: "", placeholder: "TEXT", description: "What to call it." },
    scope: {
      type: "string",
      multiple: true,
      placeholder: "ACTION",
      description:
        "An action it may be used for, such as view or Shop::view; may be given again. Without, all that the user may do.",
    },
    expires: {
      type: "string",
      placeholder: "WHEN",
      description: "After 90d, 12h or 30m, or at 2027-01-31T12:00:00Z. Without, never.",
    },
    ...authOptions,
    ...jsonOption,
  },
  async run({ positionals, values, out, err }) {
    const [user] = positionals as [string];
    const expiry = expiryOf(values, Date.now());
    const request = {
      user,
      displayName: String(values.name),
      scopes: listOf(values, "scope"),
      ...(expiry === undefined ? {} : { expireTime: timestampFromMs(expiry) }),
    };
    const answer = await withClient(IdentityService, { values }, (client, options) =>
      client.createApiKey(request, options),
    );
    if (values.json) {
      out(json(CreateApiKeyResponseSchema, answer));
      return 0;
    }
    // What is for people goes beside, so that the key alone can be piped.
    err(`${apiKeysText([answer.apiKey!])}\n\nThis is the key; it cannot be shown again:`);
    out(answer.key);
    return 0;
  },
};

/** Lists the API keys of a user. */
export const keyList: Command = {
  name: "key list",
  summary: "List the API keys of a user, newest first.",
  details: adminDetails,
  arguments: ["USER"],
  options: { ...authOptions, ...jsonOption },
  async run({ positionals, values, out }) {
    const [user] = positionals as [string];
    const answer = await withClient(IdentityService, { values }, (client, options) =>
      client.listApiKeys({ user }, options),
    );
    out(values.json ? json(ListApiKeysResponseSchema, answer) : apiKeysText(answer.apiKeys));
    return 0;
  },
};

/** Revokes an API key. */
export const keyRevoke: Command = {
  name: "key revoke",
  summary: "Revoke an API key by its id.",
  details: adminDetails,
  arguments: ["ID"],
  options: { ...authOptions, ...jsonOption },
  async run({ positionals, values, out }) {
    const [id] = positionals as [string];
    await withClient(IdentityService, { values }, (client, options) => client.revokeApiKey({ id }, options));
    out(values.json ? "{}" : `${id} is revoked`);
    return 0;
  },
};
