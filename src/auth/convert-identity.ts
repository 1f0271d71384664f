import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type {
  ApiKeySchema,
  CreateApiKeyRequest,
  CreateUserRequest,
  UpdateUserRequest,
  UserSchema,
} from "../../gen/gatehouse/auth/v1/identity_service_pb.ts";
import { invalidArgument } from "../shared/service-error.ts";
import type { ApiKey, NewApiKey } from "./domain/api-keys.ts";
import type { User, WriteConditions } from "./domain/identities.ts";
import type { UserToCreate, UserUpdate } from "./domain/users.ts";

export function userToCreate(request: CreateUserRequest): UserToCreate {
  const { name, password, roles, attributes = {}, disabled } = request;
  return { name, password, roles, attributes, disabled };
}

/** The fields that the mask names. */
export function userUpdateOf({ updateMask, roles, attributes = {}, disabled }: UpdateUserRequest): UserUpdate {
  const paths = new Set(updateMask?.paths);
  if (paths.size === 0) throw invalidArgument([{ field: "update_mask", description: "must name a field" }]);
  return {
    ...(paths.has("roles") ? { roles } : {}),
    ...(paths.has("attributes") ? { attributes } : {}),
    ...(paths.has("disabled") ? { disabled } : {}),
  };
}

/** Zero asks for nothing. A version beyond 2^53 is nobody's, and stays so when it is rounded. */
export function conditionsOf({ expectedVersion }: { readonly expectedVersion: bigint }): WriteConditions {
  return expectedVersion === 0n ? {} : { expectedVersion: Number(expectedVersion) };
}

/** @throws ServiceError INVALID_ARGUMENT when the time of expiry has come. */
export function newApiKeyOf(request: CreateApiKeyRequest, user: string, now: number): NewApiKey {
  const { displayName, scopes } = request;
  const expireTime = request.expireTime === undefined ? undefined : timestampMs(request.expireTime);
  if (expireTime !== undefined && expireTime <= now) {
    throw invalidArgument([{ field: "expire_time", description: "must be in the future" }]);
  }
  return { user, displayName, scopes, expireTime };
}

export function toUser(user: User): MessageInitShape<typeof UserSchema> {
  const { name, roles, attributes, disabled, passwordHash, version, createTime } = user;
  return {
    name,
    roles: [...roles],
    attributes: attributes as JsonObject,
    disabled,
    hasPassword: passwordHash !== undefined,
    version: BigInt(version),
    createTime: timestampFromMs(createTime),
  };
}

export function toApiKey(key: ApiKey): MessageInitShape<typeof ApiKeySchema> {
  const { id, user, displayName, scopes, createTime, expireTime, lastUsedTime } = key;
  return {
    id,
    user,
    displayName,
    scopes: [...scopes],
    createTime: timestampFromMs(createTime),
    ...timeField("expireTime", expireTime),
    ...timeField("lastUsedTime", lastUsedTime),
  };
}

function timeField<K extends string>(name: K, ms: number | undefined): { [_ in K]?: Timestamp } {
  return (ms === undefined ? {} : { [name]: timestampFromMs(ms) }) as { [_ in K]?: Timestamp };
}

/** A page token names the last user of the page before. */
export function pageTokenOf(name: string): string {
  return Buffer.from(name).toString("base64url");
}

/** @throws ServiceError INVALID_ARGUMENT when it is no token of ours. */
export function nameOfPageToken(token: string): string {
  const name = Buffer.from(token, "base64url").toString();
  if (pageTokenOf(name) !== token) {
    throw invalidArgument([{ field: "page_token", description: "is not one that was answered" }]);
  }
  return name;
}
