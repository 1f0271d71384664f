/** What the stores of tokens, keys and clients promise, on every backend. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import type { OAuthClient } from "../src/auth/domain/clients.ts";
import { newSessionId } from "../src/auth/domain/session-keys.ts";
import type { RefreshFamily, RefreshUse } from "../src/auth/domain/tokens/refresh-families.ts";
import { newRefreshToken, sealSuccessor, successorOf } from "../src/auth/domain/tokens/refresh-token.ts";
import type { SigningKeyRecord } from "../src/auth/domain/tokens/signing-keys.ts";
import { newTokenId } from "../src/auth/domain/tokens/token-id.ts";
import type { Stores } from "../src/auth/stores.ts";
import { type Backend, backends } from "./support/store-backends.ts";

const minute = 60_000;

for (const [name, start] of Object.entries(backends)) {
  describe(`token stores on ${name}`, () => {
    let backend: Backend;
    let stores: Stores;
    let second: Stores;
    let now = Date.now();

    before(async () => {
      backend = await start();
      stores = await backend.open(() => now);
      second = await backend.open(() => now);
    });
    after(async () => {
      await stores.close();
      await second.close();
      await backend.close();
    });

    const key = (kid: string): SigningKeyRecord => ({
      kid,
      algorithm: "ES256",
      sealed: "…",
      createTime: now,
      activateTime: now,
    });

    it("keeps signing keys; of changes at once one wins, and a change of what has changed is none", async () => {
      assert.deepEqual(await stores.signingKeys.load(), { version: 0, keys: [] });
      const racing = Array.from({ length: 20 }, async (_, index) =>
        (index % 2 === 0 ? stores : second).signingKeys.replace(0, [key(`k${index}`)]),
      );
      const won = (await Promise.all(racing))
        .map((answer, index) => ({ answer, index }))
        .filter(({ answer }) => answer);
      assert.equal(won.length, 1);
      const winner = `k${won[0]?.index}`;
      assert.deepEqual(await second.signingKeys.load(), { version: 1, keys: [key(winner)] });
      assert.equal(await stores.signingKeys.replace(0, []), false);
      assert.equal(await stores.signingKeys.replace(2, []), false);
      assert.equal(await stores.signingKeys.replace(1, [key(winner), key("next")]), true);
      assert.equal((await second.signingKeys.load()).version, 2);
    });

    function newFamily(): { readonly family: RefreshFamily; use(more?: Partial<RefreshUse>): RefreshUse } {
      const token = newRefreshToken(newSessionId("alice", randomBytes), randomBytes);
      const { sessionId, partition, seriesHash } = token;
      const successor = successorOf(token, randomBytes);
      return {
        family: {
          sessionId,
          partition,
          seriesHash,
          currentHash: token.hash,
          issueTime: now,
          client: "",
          scopes: ["read", "write"],
          expireTime: now + 60 * minute,
        },
        use: (more = {}) => ({
          sessionId,
          partition,
          seriesHash,
          presentedHash: token.hash,
          successorHash: successor.hash,
          sealedSuccessor: sealSuccessor(token, successor, randomBytes),
          client: "",
          now,
          graceMs: 10_000,
          ...more,
        }),
      };
    }

    it("keeps a refresh family until it is removed", async () => {
      const { family } = newFamily();
      await stores.refreshFamilies.add(family);
      assert.deepEqual(await second.refreshFamilies.find(family.partition, family.sessionId), family);
      await second.refreshFamilies.remove(family.partition, family.sessionId);
      assert.equal(await stores.refreshFamilies.find(family.partition, family.sessionId), undefined);
      await stores.refreshFamilies.remove(family.partition, family.sessionId);
    });

    it("spends a refresh token once, however many use it at once", async () => {
      const { family, use } = newFamily();
      await stores.refreshFamilies.add(family);
      const uses = Array.from({ length: 100 }, (_, index) =>
        use({ successorHash: `successor ${index}`, sealedSuccessor: `sealed ${index}` }),
      );
      const outcomes = await Promise.all(
        uses.map(async (one, index) => await (index % 2 === 0 ? stores : second).refreshFamilies.use(one)),
      );
      const rotated = outcomes.flatMap(({ kind }, index) => (kind === "rotated" ? [index] : []));
      assert.equal(rotated.length, 1);
      const [winner] = rotated;
      for (const [index, outcome] of outcomes.entries()) {
        if (index !== winner) assert.deepEqual(outcome, { kind: "repeated", sealedSuccessor: `sealed ${winner}` });
      }
      const found = await stores.refreshFamilies.find(family.partition, family.sessionId);
      assert.equal(found?.currentHash, `successor ${winner}`);
    });

    it("answers a spent token within the grace, to the millisecond, and revokes the family after it", async () => {
      const { family, use } = newFamily();
      await stores.refreshFamilies.add(family);
      assert.equal((await stores.refreshFamilies.use(use())).kind, "rotated");
      assert.equal((await stores.refreshFamilies.use(use({ now: now + 9_999 }))).kind, "repeated");
      assert.equal((await stores.refreshFamilies.use(use({ now: now + 10_000 }))).kind, "reused");
      for (const presentedHash of [use().successorHash, use().presentedHash]) {
        assert.equal(
          (await stores.refreshFamilies.use(use({ presentedHash }))).kind,
          "reused",
          "nothing is good any more",
        );
      }
      assert.equal((await stores.refreshFamilies.find(family.partition, family.sessionId))?.currentHash, "");
    });

    it("has no grace when there is to be none", async () => {
      const { family, use } = newFamily();
      await stores.refreshFamilies.add(family);
      assert.equal((await stores.refreshFamilies.use(use({ graceMs: 0 }))).kind, "rotated");
      assert.equal((await stores.refreshFamilies.use(use({ graceMs: 0 }))).kind, "reused");
    });

    it("takes a token of the same series that it never gave for a spent one, and one of another for none", async () => {
      const { family, use } = newFamily();
      await stores.refreshFamilies.add(family);
      assert.equal((await stores.refreshFamilies.use(use({ seriesHash: "guessed" }))).kind, "unknown");
      assert.equal(
        (await stores.refreshFamilies.use(use({ sessionId: newSessionId("alice", randomBytes) }))).kind,
        "unknown",
      );
      assert.equal((await stores.refreshFamilies.use(use())).kind, "rotated", "no harm was done");
      assert.equal((await stores.refreshFamilies.use(use({ presentedHash: "guessed" }))).kind, "reused");
    });

    it("binds a family to the first client that uses it", async () => {
      const { family, use } = newFamily();
      await stores.refreshFamilies.add(family);
      assert.equal((await stores.refreshFamilies.use(use({ client: "app" }))).kind, "rotated");
      const found = await stores.refreshFamilies.find(family.partition, family.sessionId);
      assert.equal(found?.client, "app");
      const presentedHash = use().successorHash;
      for (const client of ["other", ""]) {
        assert.equal((await stores.refreshFamilies.use(use({ client, presentedHash }))).kind, "unknown");
      }
      assert.equal((await stores.refreshFamilies.use(use({ client: "app", presentedHash }))).kind, "rotated");
    });

    it("keeps revoked tokens until they have expired", async () => {
      const [token, other] = [newTokenId("alice", now, randomBytes), newTokenId("alice", now, randomBytes)];
      await stores.revocations.revokeToken(token, now + minute);
      assert.equal(await second.revocations.isTokenRevoked(token), true);
      assert.equal(await second.revocations.isTokenRevoked(other), false);
      now += minute - 1;
      await stores.revocations.revokeToken(other, now + minute);
      assert.equal(await second.revocations.isTokenRevoked(token), true);
    });

    it("keeps the latest time up to which a subject was revoked, by its kind", async () => {
      const { revocations } = stores;
      assert.equal(await revocations.revokedUpTo("user", "alice"), 0);
      await revocations.revokeSubject("user", "alice", now, now + minute);
      await revocations.revokeSubject("user", "alice", now - 5, now + minute);
      assert.equal(await second.revocations.revokedUpTo("user", "alice"), now);
      await revocations.revokeSubject("user", "alice", now + 1, now + minute);
      assert.equal(await second.revocations.revokedUpTo("user", "alice"), now + 1);
      assert.equal(await second.revocations.revokedUpTo("client", "alice"), 0);
      assert.equal(await second.revocations.revokedUpTo("user", "alic"), 0);
    });

    const client = (id: string): OAuthClient => ({
      id,
      name: "Reports",
      secretHashes: ["…"],
      jwks: [{ kty: "EC", crv: "P-256", x: "x", y: "y" }],
      grants: ["client_credentials"],
      scopes: ["read"],
      audiences: [],
      roles: ["reporter"],
      attributes: { team: "finance", size: 3 },
      disabled: false,
      createTime: now,
    });

    it("keeps clients, and an id but once", async () => {
      const reports = client("reports");
      assert.equal(await stores.clients.find("reports"), undefined);
      assert.equal(await stores.clients.create(reports), true);
      assert.equal(await second.clients.create({ ...reports, roles: ["admin"] }), false);
      assert.deepEqual(await second.clients.find("reports"), reports);
      assert.equal(await second.clients.update("reports", { disabled: true, jwks: [] }), true);
      assert.deepEqual(await stores.clients.find("reports"), { ...reports, disabled: true, jwks: [] });
      assert.equal(await second.clients.update("nobody", { disabled: true }), false);
      assert.equal(await stores.clients.find("nobody"), undefined);
      assert.equal(await stores.clients.delete("reports"), true);
      assert.equal(await stores.clients.delete("reports"), false);
      assert.equal(await second.clients.find("reports"), undefined);
    });

    it("lists clients by pages, in the order of their ids", async () => {
      const ids = ["B", "a", "a-", "a.b", "b"];
      for (const id of ids.toReversed()) await stores.clients.create(client(id));
      const first = await second.clients.list("", 2);
      assert.deepEqual(first, [client("B"), client("a")]);
      const rest = await second.clients.list("a", 10);
      assert.deepEqual(
        rest.map(({ id }) => id),
        ["a-", "a.b", "b"],
      );
      assert.deepEqual(await second.clients.list("b", 10), []);
      await stores.clients.delete("B");
      assert.deepEqual(
        (await second.clients.list("", 1)).map(({ id }) => id),
        ["a"],
      );
    });

    it("takes an assertion of a client once", async () => {
      const expireTime = now + minute;
      const uses = Array.from({ length: 20 }, async (_, index) =>
        (index % 2 === 0 ? stores : second).clients.useAssertion("app", "j1", expireTime),
      );
      assert.equal((await Promise.all(uses)).filter(Boolean).length, 1);
      assert.equal(await stores.clients.useAssertion("other", "j1", expireTime), true);
      assert.equal(await stores.clients.useAssertion("app", "j2", expireTime), true);
      assert.equal(await stores.clients.useAssertion("app", "j1", expireTime), false);
    });
  });
}
