import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Revocation } from "../revocations.ts";
import type { AccessToken } from "./access-tokens.ts";
import { createVerifiedTokens } from "./verified-tokens.ts";

function tokenOf(changes: Partial<AccessToken>): { readonly token: AccessToken; readonly kid: string } {
  const common = { principalType: "User", scopes: [], audiences: [], amr: [], issueTime: 0, expireTime: 1 } as const;
  return { token: { ...common, id: "id", subject: "alice", ...changes }, kid: "k" };
}

const tokens: Readonly<Record<string, Partial<AccessToken>>> = {
  a1: { id: "a1", sessionId: "s1" },
  a2: { id: "a2", sessionId: "s1", clientId: "app" },
  a3: { id: "a3", sessionId: "s2" },
  b1: { id: "b1", subject: "bob", clientId: "app" },
  c1: { id: "c1", subject: "app", principalType: "Client", clientId: "app" },
};

describe("verified tokens", () => {
  const forgotten: readonly (readonly [Revocation, readonly string[]])[] = [
    [{ kind: "token", tokenId: "a2", expireTime: 1 }, ["a2"]],
    [{ kind: "session", sessionId: "s1" }, ["a1", "a2"]],
    [{ kind: "user", user: "alice" }, ["a1", "a2", "a3"]],
    [{ kind: "user", user: "app" }, []],
    [{ kind: "client", client: "app" }, ["a2", "b1", "c1"]],
    [{ kind: "client", client: "alice" }, []],
    [{ kind: "apiKey", keyId: "a1" }, []],
  ];
  for (const [revocation, gone] of forgotten) {
    it(`are forgotten when ${JSON.stringify(revocation)} is revoked: ${gone.join(", ") || "none"}`, () => {
      const verified = createVerifiedTokens(10);
      for (const [hash, changes] of Object.entries(tokens)) verified.set(hash, tokenOf(changes));
      verified.forget(revocation);
      for (const hash of Object.keys(tokens)) assert.equal(verified.get(hash) === undefined, gone.includes(hash), hash);
      verified.forget(revocation);
    });
  }

  it("are bounded: the one that was not used for longest goes, and what was known of it", () => {
    const verified = createVerifiedTokens(2);
    for (const hash of ["a1", "a2"]) verified.set(hash, tokenOf(tokens[hash] ?? {}));
    verified.get("a1");
    verified.set("a3", tokenOf(tokens.a3 ?? {}));
    assert.deepEqual(
      ["a1", "a2", "a3"].map((hash) => verified.get(hash)?.token.id),
      ["a1", undefined, "a3"],
    );
    verified.forget({ kind: "client", client: "app" });
    verified.forget({ kind: "session", sessionId: "s1" });
    assert.deepEqual(
      ["a1", "a3"].map((hash) => verified.get(hash)?.token.id),
      [undefined, "a3"],
    );
  });

  it("are found again when they were verified again", () => {
    const verified = createVerifiedTokens(2);
    for (let times = 0; times < 3; times += 1) verified.set("a1", tokenOf(tokens.a1 ?? {}));
    verified.forget({ kind: "session", sessionId: "s1" });
    assert.equal(verified.get("a1"), undefined);
  });

  it("are none where none are wanted", () => {
    const verified = createVerifiedTokens(0);
    verified.set("a1", tokenOf({}));
    assert.equal(verified.get("a1"), undefined);
  });
});
