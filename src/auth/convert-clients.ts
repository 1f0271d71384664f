import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { JWK } from "jose";
import type {
  CreateClientRequest,
  OAuthClientSchema,
  UpdateClientRequest,
} from "../../gen/gatehouse/auth/v1/oauth_client_pb.ts";
import { type SigningKeySchema, SigningKeyState } from "../../gen/gatehouse/auth/v1/signing_key_pb.ts";
import { invalidArgument } from "../shared/service-error.ts";
import type { ClientToCreate, ClientUpdate } from "./domain/client-admin.ts";
import type { ClientGrant, OAuthClient } from "./domain/clients.ts";
import type { ListedKey } from "./domain/tokens/key-ring.ts";

export function clientToCreate(request: CreateClientRequest): ClientToCreate {
  const { id, displayName: name, withSecret, scopes, audiences, roles, attributes = {}, disabled } = request;
  const grants = request.grants as ClientGrant[];
  return { id, name, withSecret, jwks: request.jwks as JWK[], grants, scopes, audiences, roles, attributes, disabled };
}

/** The fields that the mask names. */
export function clientUpdateOf(request: UpdateClientRequest): ClientUpdate {
  const paths = new Set(request.updateMask?.paths);
  if (paths.size === 0) throw invalidArgument([{ field: "update_mask", description: "must name a field" }]);
  const { displayName, jwks, grants, scopes, audiences, roles, attributes = {}, disabled } = request;
  return {
    ...(paths.has("display_name") ? { name: displayName } : {}),
    ...(paths.has("jwks") ? { jwks: jwks as JWK[] } : {}),
    ...(paths.has("grants") ? { grants: grants as ClientGrant[] } : {}),
    ...(paths.has("scopes") ? { scopes } : {}),
    ...(paths.has("audiences") ? { audiences } : {}),
    ...(paths.has("roles") ? { roles } : {}),
    ...(paths.has("attributes") ? { attributes } : {}),
    ...(paths.has("disabled") ? { disabled } : {}),
  };
}

export function toClient(client: OAuthClient): MessageInitShape<typeof OAuthClientSchema> {
  const { id, name, secretHashes, jwks, grants, scopes, audiences, roles, attributes, disabled, createTime } = client;
  return {
    id,
    displayName: name,
    secretCount: secretHashes.length,
    jwks: jwks as JsonObject[],
    grants: [...grants],
    scopes: [...scopes],
    audiences: [...audiences],
    roles: [...roles],
    attributes: attributes as JsonObject,
    disabled,
    createTime: timestampFromMs(createTime),
  };
}

const states: Readonly<Record<ListedKey["state"], SigningKeyState>> = {
  published: SigningKeyState.PUBLISHED,
  signing: SigningKeyState.SIGNING,
  retired: SigningKeyState.RETIRED,
};

export function toSigningKey(key: ListedKey): MessageInitShape<typeof SigningKeySchema> {
  const { kid: id, algorithm, state, createTime, activateTime } = key;
  return {
    id,
    algorithm,
    state: states[state],
    createTime: timestampFromMs(createTime),
    activateTime: timestampFromMs(activateTime),
  };
}
