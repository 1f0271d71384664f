import { IdentityService } from "../../../gen/gatehouse/auth/v1/identity_service_pb.ts";
import { ListKeysResponseSchema, RotateKeysResponseSchema } from "../../../gen/gatehouse/auth/v1/signing_key_pb.ts";
import type { Command } from "../command.ts";
import { json, signingKeysText } from "../identity-output.ts";
import { adminDetails, authOptions, jsonOption, withClient } from "../service-client.ts";

/** Makes a new signing key. */
export const keysRotate: Command = {
  name: "keys rotate",
  summary: "Make a new key that access tokens are signed with.",
  details: adminDetails,
  arguments: [],
  options: {
    immediately: { type: "boolean", description: "Sign with it at once, though not everybody may know it yet." },
    "drop-others": {
      type: "boolean",
      description: "Drop all other keys, and all tokens that they signed, at once: for when one has leaked.",
    },
    ...authOptions,
    ...jsonOption,
  },
  async run({ values, out }) {
    const request = { immediately: values.immediately === true, dropOthers: values["drop-others"] === true };
    const answer = await withClient(IdentityService, { values }, (client, options) =>
      client.rotateKeys(request, options),
    );
    out(values.json ? json(RotateKeysResponseSchema, answer) : answer.keyId);
    return 0;
  },
};

/** Lists the signing keys. */
export const keysList: Command = {
  name: "keys list",
  summary: "List the keys that access tokens are signed with.",
  details: adminDetails,
  arguments: [],
  options: { ...authOptions, ...jsonOption },
  async run({ values, out }) {
    const answer = await withClient(IdentityService, { values }, (client, options) => client.listKeys({}, options));
    out(values.json ? json(ListKeysResponseSchema, answer) : signingKeysText(answer.keys));
    return 0;
  },
};
