import { randomBytes } from "node:crypto";

/** Makes identifiers of decisions: 48 random bits of this process and a counter, unique without a random number a call. */
export function createDecisionIds(prefix: string = randomBytes(6).toString("base64url")): () => string {
  let count = 0;
  return () => {
    count += 1;
    return `${prefix}-${count.toString(36)}`;
  };
}
