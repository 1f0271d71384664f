import { readFile } from "node:fs/promises";
import { create, type JsonObject } from "@bufbuild/protobuf";
import { IdentityService } from "../../../gen/gatehouse/auth/v1/identity_service_pb.ts";
import {
  CreateClientResponseSchema,
  GetClientResponseSchema,
  ListClientsResponseSchema,
  type OAuthClient,
  RotateClientSecretResponseSchema,
  UpdateClientResponseSchema,
} from "../../../gen/gatehouse/auth/v1/oauth_client_pb.ts";
import { type Command, CommandError, type CommandInput, type CommandOption, UsageError } from "../command.ts";
import { clientsText, clientText, json } from "../identity-output.ts";
import { attributesOf, listOf } from "../option-values.ts";
import { adminDetails, authOptions, jsonOption, withClient } from "../service-client.ts";

const many = (placeholder: string, description: string): CommandOption => ({
  type: "string",
  multiple: true,
  placeholder,
  description: `${description}; may be given again.`,
});

/** Fields that a client is made with, and that can be replaced. */
const fieldOptions: { readonly [name: string]: CommandOption } = {
  name: { type: "string", placeholder: "TEXT", description: "What to call it." },
  grant: many("GRANT", "A grant it may use: client_credentials, refresh_token or token_exchange"),
  scope: many("SCOPE", "A scope that its tokens may have"),
  audience: many("AUDIENCE", "An audience that its tokens may have beside that of Gatehouse"),
  role: many("ROLE", "A role to hold"),
  attributes: { type: "string", placeholder: "JSON", description: "Attributes, as a JSON object of Cedar values." },
  jwks: { type: "string", placeholder: "FILE", description: "JWK set with the public keys of its assertions." },
};

/** The fields that were given. */
async function fieldsOf(values: CommandInput["values"]) {
  const attributes = attributesOf(values);
  const given = (option: string): string[] | undefined =>
    values[option] === undefined ? undefined : listOf(values, option);
  return {
    displayName: values.name === undefined ? undefined : String(values.name),
    grants: given("grant"),
    scopes: given("scope"),
    audiences: given("audience"),
    roles: given("role"),
    attributes,
    jwks: values.jwks === undefined ? undefined : await readKeys(String(values.jwks)),
  };
}

async function readKeys(path: string): Promise<JsonObject[]> {
  const text = await readFile(path, "utf8").catch((error: Error) => {
    throw new CommandError(`${path} cannot be read: ${error.message}`);
  });
  try {
    const { keys } = JSON.parse(text) as { keys?: unknown };
    if (Array.isArray(keys)) return keys as JsonObject[];
  } catch {
    // Told below.
  }
  throw new CommandError(`${path} is no JWK set: {"keys":[…]}`);
}

/** Adds an OAuth client. */
export const clientCreate: Command = {
  name: "client create",
  summary: "Add an OAuth client, and write its secret to standard output, once.",
  details: adminDetails,
  arguments: ["ID"],
  options: {
    ...fieldOptions,
    "no-secret": { type: "boolean", description: "Make no secret: it has keys (--jwks), or is public." },
    disabled: { type: "boolean", description: "Refuse it for now." },
    ...authOptions,
    ...jsonOption,
  },
  async run({ positionals, values, out, err }) {
    const [id] = positionals as [string];
    const { displayName = "", grants = [], scopes = [], audiences = [], roles = [], ...rest } = await fieldsOf(values);
    const request = {
      id,
      displayName,
      grants,
      scopes,
      audiences,
      roles,
      attributes: rest.attributes ?? {},
      jwks: rest.jwks ?? [],
      withSecret: values["no-secret"] !== true,
      disabled: values.disabled === true,
    };
    const answer = await withClient(IdentityService, { values }, (client, options) =>
      client.createClient(request, options),
    );
    if (values.json) out(json(CreateClientResponseSchema, answer));
    else showSecret(answer.client!, answer.secret, out, err);
    return 0;
  },
};

/** Shows an OAuth client. */
export const clientGet: Command = {
  name: "client get",
  summary: "Show an OAuth client.",
  details: adminDetails,
  arguments: ["ID"],
  options: { ...authOptions, ...jsonOption },
  async run({ positionals, values, out }) {
    const [id] = positionals as [string];
    const answer = await withClient(IdentityService, { values }, (client, options) =>
      client.getClient({ id }, options),
    );
    out(values.json ? json(GetClientResponseSchema, answer) : clientText(answer.client!));
    return 0;
  },
};

/** Lists all OAuth clients, however many pages they are. */
export const clientList: Command = {
  name: "client list",
  summary: "List all OAuth clients by id.",
  details: adminDetails,
  arguments: [],
  options: { ...authOptions, ...jsonOption },
  async run({ values, out }) {
    const clients = await withClient(IdentityService, { values }, async (client, options) => {
      const all: OAuthClient[] = [];
      for (let pageToken = ""; ; ) {
        const page = await client.listClients({ pageSize: 1_000, pageToken }, options);
        all.push(...page.clients);
        pageToken = page.nextPageToken;
        if (pageToken === "") return all;
      }
    });
    const answer = create(ListClientsResponseSchema, { clients });
    out(values.json ? json(ListClientsResponseSchema, answer) : clientsText(clients));
    return 0;
  },
};

/** Replaces fields of an OAuth client. */
export const clientUpdate: Command = {
  name: "client update",
  summary: "Replace fields of an OAuth client, or disable or enable it.",
  details: `${adminDetails}\nAny change but one of its name revokes all its tokens. What is given replaces all before of its kind.`,
  arguments: ["ID"],
  options: {
    ...fieldOptions,
    clear: many("FIELD", "Empty a list: grants, scopes, audiences, roles or jwks"),
    disable: { type: "boolean", description: "Refuse it and all its tokens." },
    enable: { type: "boolean", description: "Accept it again." },
    ...authOptions,
    ...jsonOption,
  },
  async run({ positionals, values, out }) {
    const [id] = positionals as [string];
    if (values.disable && values.enable) throw new UsageError("--disable and --enable do not go together");
    const given: { [field: string]: unknown } = await fieldsOf(values);
    for (const field of listOf(values, "clear")) {
      if (!["grants", "scopes", "audiences", "roles", "jwks"].includes(field)) {
        throw new UsageError(`--clear ${field}: there is no such list`);
      }
      if (given[field] !== undefined) throw new UsageError(`${field} are both given and cleared`);
      given[field] = [];
    }
    if (values.disable || values.enable) given.disabled = values.disable === true;
    const changes = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
    const paths = Object.keys(changes).map((field) => (field === "displayName" ? "display_name" : field));
    if (paths.length === 0) throw new UsageError("there is nothing to change");
    const answer = await withClient(IdentityService, { values }, (client, options) =>
      client.updateClient({ id, ...changes, updateMask: { paths } }, options),
    );
    out(values.json ? json(UpdateClientResponseSchema, answer) : clientText(answer.client!));
    return 0;
  },
};

/** Replaces the secret of an OAuth client. */
export const clientRotateSecret: Command = {
  name: "client rotate-secret",
  summary: "Make a new secret of an OAuth client, and write it to standard output, once.",
  details: adminDetails,
  arguments: ["ID"],
  options: {
    "keep-current": {
      type: "boolean",
      description:
        "Let the last secret stay good until the next rotation. Without, it is refused, and all tokens are revoked.",
    },
    ...authOptions,
    ...jsonOption,
  },
  async run({ positionals, values, out, err }) {
    const [id] = positionals as [string];
    const request = { id, keepCurrent: values["keep-current"] === true };
    const answer = await withClient(IdentityService, { values }, (client, options) =>
      client.rotateClientSecret(request, options),
    );
    if (values.json) out(json(RotateClientSecretResponseSchema, answer));
    else showSecret(answer.client!, answer.secret, out, err);
    return 0;
  },
};

/** Removes an OAuth client. */
export const clientDelete: Command = {
  name: "client delete",
  summary: "Remove an OAuth client, and revoke all its tokens.",
  details: adminDetails,
  arguments: ["ID"],
  options: { ...authOptions, ...jsonOption },
  async run({ positionals, values, out }) {
    const [id] = positionals as [string];
    await withClient(IdentityService, { values }, (client, options) => client.deleteClient({ id }, options));
    out(values.json ? "{}" : `${id} is no more`);
    return 0;
  },
};

/** What is for people goes beside, so that the secret alone can be piped. */
function showSecret(client: OAuthClient, secret: string, out: CommandInput["out"], err: CommandInput["err"]): void {
  if (secret === "") {
    out(clientText(client));
    return;
  }
  err(`${clientText(client)}\n\nThis is the secret; it cannot be shown again:`);
  out(secret);
}
