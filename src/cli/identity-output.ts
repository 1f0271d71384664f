import { type DescMessage, type MessageShape, toJson } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import type { ApiKey, User } from "../../gen/gatehouse/auth/v1/identity_service_pb.ts";
import type { Session } from "../../gen/gatehouse/auth/v1/principal_pb.ts";
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
