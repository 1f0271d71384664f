import { type DescMessage, type MessageShape, toJson } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import type { ApiKey, User } from "../../gen/gatehouse/auth/v1/identity_service_pb.ts";
import type { OAuthClient } from "../../gen/gatehouse/auth/v1/oauth_client_pb.ts";
import type { Session } from "../../gen/gatehouse/auth/v1/principal_pb.ts";
import { type SigningKey, SigningKeyState } from "../../gen/gatehouse/auth/v1/signing_key_pb.ts";
import { table } from "./table.ts";

/** A message as programs read it, empty fields included. */
export function json<D extends DescMessage>(schema: D, message: MessageShape<D>): string {
  return JSON.stringify(toJson(schema, message, { alwaysEmitImplicit: true }), undefined, 2);
}

/** A user for people, one field a line. */
export function userText(user: User): string {
  return table(
    ["name", user.name],
    [
      ["roles", user.roles.join(", ") || "none"],
      ["attributes", JSON.stringify(user.attributes ?? {})],
      ["password", user.hasPassword ? "yes" : "no"],
      ["disabled", user.disabled ? "yes" : "no"],
      ["created", time(user.createTime)],
      ["version", String(user.version)],
    ],
  );
}

export function usersText(users: readonly User[]): string {
  return table(
    ["NAME", "ROLES", "PASSWORD", "STATE", "CREATED"],
    users.map(({ name, roles, hasPassword, disabled, createTime }) => [
      name,
      roles.join(",") || "-",
      hasPassword ? "yes" : "no",
      disabled ? "disabled" : "enabled",
      time(createTime),
    ]),
  );
}

export function apiKeysText(keys: readonly ApiKey[]): string {
  return table(
    ["ID", "NAME", "SCOPES", "CREATED", "EXPIRES", "LAST USED"],
    keys.map(({ id, displayName, scopes, createTime, expireTime, lastUsedTime }) => [
      id,
      displayName || "-",
      scopes.join(",") || "all",
      time(createTime),
      time(expireTime),
      time(lastUsedTime),
    ]),
  );
}

/** An OAuth client for people, one field a line. */
export function clientText(client: OAuthClient): string {
  const listed = (items: readonly string[]): string => items.join(", ") || "none";
  return table(
    ["id", client.id],
    [
      ["name", client.displayName || "-"],
      ["secrets", String(client.secretCount)],
      ["keys", listed(client.jwks.map(({ kid }) => String(kid ?? "without id")))],
      ["grants", listed(client.grants)],
      ["scopes", listed(client.scopes)],
      ["audiences", listed(client.audiences)],
      ["roles", listed(client.roles)],
      ["attributes", JSON.stringify(client.attributes ?? {})],
      ["disabled", client.disabled ? "yes" : "no"],
      ["created", time(client.createTime)],
    ],
  );
}

export function clientsText(clients: readonly OAuthClient[]): string {
  return table(
    ["ID", "NAME", "GRANTS", "SCOPES", "STATE", "CREATED"],
    clients.map(({ id, displayName, grants, scopes, disabled, createTime }) => [
      id,
      displayName || "-",
      grants.join(",") || "-",
      scopes.join(",") || "-",
      disabled ? "disabled" : "enabled",
      time(createTime),
    ]),
  );
}

const keyStates: Readonly<Record<SigningKeyState, string>> = {
  [SigningKeyState.UNSPECIFIED]: "-",
  [SigningKeyState.PUBLISHED]: "published",
  [SigningKeyState.SIGNING]: "signing",
  [SigningKeyState.RETIRED]: "retired",
};

export function signingKeysText(keys: readonly SigningKey[]): string {
  return table(
    ["ID", "ALGORITHM", "STATE", "CREATED", "SIGNS FROM"],
    keys.map(({ id, algorithm, state, createTime, activateTime }) => [
      id,
      algorithm,
      keyStates[state] ?? "-",
      time(createTime),
      time(activateTime),
    ]),
  );
}

export function sessionsText(sessions: readonly Session[]): string {
  return table(
    ["ID", "SIGNED IN", "LAST USED", "ENDS", "BY"],
    sessions.map(({ id, createTime, lastUsedTime, idleExpireTime, amr }) => [
      id,
      time(createTime),
      time(lastUsedTime),
      time(idleExpireTime),
      amr.join(","),
    ]),
  );
}

function time(timestamp: Timestamp | undefined): string {
  return timestamp === undefined ? "never" : timestampDate(timestamp).toISOString();
}
