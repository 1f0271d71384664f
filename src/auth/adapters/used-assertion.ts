import { hash } from "node:crypto";

/** Names an assertion of a client in a store, however long its `jti` is. */
export function assertionHash(client: string, assertionId: string): string {
  return hash("sha256", JSON.stringify([client, assertionId]), "base64url");
}
