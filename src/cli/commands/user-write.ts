import {
  CreateUserResponseSchema,
  IdentityService,
  SetPasswordResponseSchema,
  UpdateUserResponseSchema,
} from "../../../gen/gatehouse/auth/v1/identity_service_pb.ts";
import { type Command, type CommandOption, UsageError } from "../command.ts";
import { json, userText } from "../identity-output.ts";
import { attributesOf, listOf, versionOf } from "../option-values.ts";
import { readPassword } from "../read-password.ts";
import { adminDetails, authOptions, jsonOption, withClient } from "../service-client.ts";

const roleOption: CommandOption = {
  type: "string",
  multiple: true,
  placeholder: "ROLE",
  description: "A role to hold; may be given again.",
};
const attributesOption: CommandOption = {
  type: "string",
  placeholder: "JSON",
  description: "Attributes, as a JSON object of Cedar values.",
};
const versionOption: CommandOption = {
  type: "string",
  placeholder: "N",
  description: "Refuse unless the user has this version.",
};
const passwordDetails =
  "A password is read from standard input: on a terminal twice and unseen, otherwise all of it but the end of the line.";

/** Adds a user. */
export const userCreate: Command = {
  name: "user create",
  summary: "Add a user.",
  details: `${adminDetails}\n${passwordDetails}`,
  arguments: ["NAME"],
  options: {
    role: roleOption,
    attributes: attributesOption,
    disabled: { type: "boolean", description: "Refuse the user for now." },
    "password-stdin": { type: "boolean", description: "Read a password. Without, the user has none." },
    ...authOptions,
    ...jsonOption,
  },
  async run({ positionals, values, out }) {
    const [name] = positionals as [string];
    const attributes = attributesOf(values) ?? {};
    const password = values["password-stdin"] ? { password: await readPassword() } : {};
    const request = {
      name,
      roles: listOf(values, "role"),
      attributes,
      disabled: values.disabled === true,
      ...password,
    };
    const answer = await withClient(IdentityService, { values }, (client, options) =>
      client.createUser(request, options),
    );
    out(values.json ? json(CreateUserResponseSchema, answer) : userText(answer.user!));
    return 0;
  },
};

/** Replaces fields of a user. */
export const userUpdate: Command = {
  name: "user update",
  summary: "Replace roles or attributes of a user, or disable or enable it.",
  details: `${adminDetails}\nNew roles, and disabling, end all sessions of the user.`,
  arguments: ["NAME"],
  options: {
    role: { ...roleOption, description: "A role to hold, in place of all before; may be given again." },
    "no-roles": { type: "boolean", description: "Take all roles away." },
    attributes: { ...attributesOption, description: "Attributes, in place of all before, as a JSON object." },
    disable: { type: "boolean", description: "Refuse every credential of the user." },
    enable: { type: "boolean", description: "Accept them again." },
    "expected-version": versionOption,
    ...authOptions,
    ...jsonOption,
  },
  async run({ positionals, values, out }) {
    const [name] = positionals as [string];
    const roles = listOf(values, "role");
    const attributes = attributesOf(values);
    if (values["no-roles"] && roles.length > 0) throw new UsageError("--role and --no-roles do not go together");
    if (values.disable && values.enable) throw new UsageError("--disable and --enable do not go together");
    const paths = [
      ...(values["no-roles"] || roles.length > 0 ? ["roles"] : []),
      ...(attributes === undefined ? [] : ["attributes"]),
      ...(values.disable || values.enable ? ["disabled"] : []),
    ];
    if (paths.length === 0) throw new UsageError("there is nothing to change");
    const request = {
      name,
      roles,
      attributes: attributes ?? {},
      disabled: values.disable === true,
      updateMask: { paths },
      expectedVersion: versionOf(values),
    };
    const answer = await withClient(IdentityService, { values }, (client, options) =>
      client.updateUser(request, options),
    );
    out(values.json ? json(UpdateUserResponseSchema, answer) : userText(answer.user!));
    return 0;
  },
};

/** Sets or removes a password. */
export const userSetPassword: Command = {
  name: "user set-password",
  summary: "Set the password of a user, or remove it, and end all sessions.",
  details: `${adminDetails}\n${passwordDetails}`,
  arguments: ["NAME"],
  options: {
    remove: { type: "boolean", description: "Remove it: the user can no longer sign in with one." },
    "expected-version": versionOption,
    ...authOptions,
    ...jsonOption,
  },
  async run({ positionals, values, out }) {
    const [name] = positionals as [string];
    const expectedVersion = versionOf(values);
    const password = values.remove ? {} : { password: await readPassword() };
    const answer = await withClient(IdentityService, { values }, (client, options) =>
      client.setPassword({ name, expectedVersion, ...password }, options),
    );
    out(values.json ? json(SetPasswordResponseSchema, answer) : userText(answer.user!));
    return 0;
  },
};

/** Takes a user's second factors away. */
export const userRemoveMfa: Command = {
  name: "user remove-mfa",
  summary: "Remove the second factors of a user who has lost them, and end all sessions.",
  details: adminDetails,
  arguments: ["NAME"],
  options: { ...authOptions, ...jsonOption },
  async run({ positionals, values, out }) {
    const [name] = positionals as [string];
    await withClient(IdentityService, { values }, (client, options) => client.removeSecondFactors({ name }, options));
    out(values.json ? "{}" : `${name} has no second factors`);
    return 0;
  },
};

/** Ends the delays after a user's failed sign-ins. */
export const userUnlock: Command = {
  name: "user unlock",
  summary: "End the delays after failed sign-ins of a user.",
  details: adminDetails,
  arguments: ["NAME"],
  options: { ...authOptions, ...jsonOption },
  async run({ positionals, values, out }) {
    const [name] = positionals as [string];
    await withClient(IdentityService, { values }, (client, options) => client.unlockUser({ name }, options));
    out(values.json ? "{}" : `${name} may try again`);
    return 0;
  },
};

/** Removes a user. */
export const userDelete: Command = {
  name: "user delete",
  summary: "Remove a user with all sessions and API keys.",
  details: adminDetails,
  arguments: ["NAME"],
  options: { "expected-version": versionOption, ...authOptions, ...jsonOption },
  async run({ positionals, values, out }) {
    const [name] = positionals as [string];
    const expectedVersion = versionOf(values);
    await withClient(IdentityService, { values }, (client, options) =>
      client.deleteUser({ name, expectedVersion }, options),
    );
    out(values.json ? "{}" : `${name} is no more`);
    return 0;
  },
};
