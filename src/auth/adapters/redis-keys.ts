import { partitionOf } from "../domain/session-keys.ts";

// All of a user's keys carry the user's partition as their hash tag, so that they share a slot of a Redis Cluster.

/** Hash: one session. */
export function sessionKey(partition: string, tokenHash: string): string {
  return `${sessionKeyPrefix(partition)}${tokenHash}`;
}

export function sessionKeyPrefix(partition: string): string {
  return `gatehouse:{${partition}}:session:`;
}

/** String: the token hash of a session, by the session's id. */
export function sessionIdKey(partition: string, id: string): string {
  return `${sessionIdKeyPrefix(partition)}${id}`;
}

export function sessionIdKeyPrefix(partition: string): string {
  return `gatehouse:{${partition}}:session-id:`;
}

/** Sorted set: token hashes of a user's sessions by their time of creation. */
export function sessionsOfUserKey(partition: string, user: string): string {
  return `gatehouse:{${partition}}:sessions:${user}`;
}

/** Hash: one user. */
export function userKey(name: string): string {
  return `gatehouse:{${partitionOf(name)}}:user:${name}`;
}

/** Hash: failures of a subject; of those from one of its known networks where one is given. */
export function failureCounterKey(kind: string, subject: string, network?: string): string {
  const counter = `gatehouse:{${partitionOfSubject(subject)}}:failures:${kind}:${subject}`;
  return network === undefined ? counter : `${counter}:${network}`;
}

/** Sorted set: networks that a subject has signed in from, by the time of the last. */
export function knownNetworksKey(subject: string): string {
  return `gatehouse:{${partitionOfSubject(subject)}}:known-networks:${subject}`;
}

/** A subject is the SHA-256 of a name, so that its partition is the name's own. */
function partitionOfSubject(subject: string): string {
  return Buffer.from(subject, "base64url").toString("hex", 0, 2);
}

/** Hash: authenticator of a user, and one that waits to be confirmed. */
export function secondFactorsKey(user: string): string {
  return `gatehouse:{${partitionOf(user)}}:second-factors:${user}`;
}

/** Set: hashes of a user's unused backup codes. */
export function backupCodesKey(user: string): string {
  return `gatehouse:{${partitionOf(user)}}:backup-codes:${user}`;
}

/** Sorted set, by bytes: entries of the users' index by name. */
export const usersByNameKey = "gatehouse:{users}:by-name";

/** Hash: one API key. Its id begins with the partition of its user. */
export function apiKeyKey(partition: string, id: string): string {
  return `${apiKeyKeyPrefix(partition)}${id}`;
}

export function apiKeyKeyPrefix(partition: string): string {
  return `gatehouse:{${partition}}:api-key:`;
}

/** Sorted set: ids of a user's API keys by their time of creation. */
export function apiKeysOfUserKey(partition: string, user: string): string {
  return `gatehouse:{${partition}}:api-keys:${user}`;
}
