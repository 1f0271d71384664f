/** What is revoked is refused: tokens with and without a session, of users and of clients, on every replica. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { createApiKeys } from "../src/auth/domain/api-keys.ts";
import { principalOf } from "../src/auth/domain/identities.ts";
import { createPrincipalLookup } from "../src/auth/domain/principals.ts";
import { createRevocations, type Revocation, type Revocations } from "../src/auth/domain/revocations.ts";
import { createSecretBox } from "../src/auth/domain/secret-box.ts";
import { createSessions, type Sessions } from "../src/auth/domain/sessions.ts";
import { type AccessTokenGrant, createAccessTokens } from "../src/auth/domain/tokens/access-tokens.ts";
import { createKeyRing } from "../src/auth/domain/tokens/key-ring.ts";
import { createLiveTokens, type LiveTokens } from "../src/auth/domain/tokens/live-tokens.ts";
import { createTokenIssuer, type TokenIssuer } from "../src/auth/domain/tokens/token-issuer.ts";
import type { Stores } from "../src/auth/stores.ts";
import { type Backend, backends } from "./support/store-backends.ts";

const minute = 60_000;
const hour = 60 * minute;

interface Replica {
  readonly stores: Stores;
  readonly sessions: Sessions;
  readonly revocations: Revocations;
  readonly issuer: TokenIssuer;
  readonly live: LiveTokens;
  readonly announced: Revocation[];
}

for (const [name, start] of Object.entries(backends)) {
  describe(`revocations on ${name}`, () => {
    let backend: Backend;
    let replicas: readonly [Replica, Replica];
    let now = Date.now();
    const clock = (): number => now;
    const box = createSecretBox([randomBytes(32)], randomBytes);

    async function replica(): Promise<Replica> {
      const stores = await backend.open(clock);
      const common = { clock, random: randomBytes };
      const sessions = createSessions({
        ...common,
        store: stores.sessions,
        idleTimeoutMs: 30 * minute,
        maxAgeMs: 24 * hour,
        limit: 5,
      });
      const keys = createKeyRing({
        ...common,
        store: stores.signingKeys,
        box,
        algorithm: "ES256",
        rotationMs: 24 * hour,
        leadMs: hour,
        retentionMs: 24 * hour,
      });
      const tokens = createAccessTokens({
        ...common,
        keys,
        issuer: "https://auth.test",
        audience: "gatehouse",
        ttlMs: hour,
        skewMs: 5_000,
        cacheSize: 100,
      });
      const announced: Revocation[] = [];
      const families = stores.refreshFamilies;
      const revocations = createRevocations({
        store: stores.revocations,
        sessions,
        families,
        apiKeys: createApiKeys({ ...common, store: stores.apiKeys }),
        journal: stores.revocationJournal,
        announce: ({ revocation }) => {
          announced.push(revocation);
          return String(announced.length);
        },
        clock,
        retentionMs: 24 * hour,
      });
      const principals = createPrincipalLookup(stores.identities, stores.clients);
      const live = createLiveTokens({ tokens, sessions, revocations, principals });
      const { clients } = stores;
      const parts = { tokens, families, sessions, clients, principals, revocations };
      const issuer = createTokenIssuer({ ...common, ...parts, graceMs: 0, userScopes: [] });
      return { stores, sessions, revocations, issuer, live, announced };
    }

    before(async () => {
      backend = await start();
      replicas = [await replica(), await replica()];
      const user = { roles: [], attributes: {}, passwordHash: undefined, disabled: false, createTime: now };
      for (const id of ["alice", "bob"]) await replicas[0].stores.identities.createUser({ ...user, name: id });
      for (const id of ["reports", "shop"]) {
        await replicas[0].stores.clients.create({
          id,
          name: id,
          secretHashes: [],
          jwks: [],
          grants: [],
          scopes: [],
          audiences: [],
          roles: [],
          attributes: {},
          disabled: false,
          createTime: now,
        });
      }
    });
    after(async () => {
      for (const { stores } of replicas) await stores.close();
      await backend.close();
    });

    const grant = async (more: Partial<AccessTokenGrant> = {}): Promise<string> => {
      const wanted: AccessTokenGrant = { principalType: "User", subject: "alice", scopes: [], amr: [], ...more };
      return (await replicas[0].issuer.grant(wanted)).accessToken;
    };
    const ofClient = { principalType: "Client", subject: "reports", clientId: "reports" } as const;

    async function isGood(token: string): Promise<boolean> {
      const answers = await Promise.all(replicas.map(async ({ live }) => (await live(token, true)) !== undefined));
      assert.equal(answers[0], answers[1], "the replicas agree");
      return answers[0] ?? false;
    }

    async function signIn(user: string) {
      const found = await replicas[0].stores.identities.findUser(user);
      assert.ok(found);
      const { session, token } = await replicas[0].sessions.open(user, ["pwd"], found.sessionEpoch);
      const authentication = { principal: principalOf(found), amr: ["pwd"], session, sessionToken: token };
      return { session, ...(await replicas[0].issuer.issue(authentication, [])) };
    }

    it("of a token leave its session and others alone, and last as long as the token", async () => {
      const { session, accessToken, expireTime } = await signIn("alice");
      const other = await grant({ sessionId: session.id });
      assert.equal(await isGood(accessToken), true);
      const { token } = (await replicas[1].live(accessToken, false)) ?? {};
      assert.ok(token);
      await replicas[1].revocations.revoke({ kind: "token", tokenId: token.id, expireTime: token.expireTime });
      assert.equal(await isGood(accessToken), false);
      assert.equal(await isGood(other), true);
      const before = now;
      for (now = before + 25 * minute; now < expireTime + 4_999; now += 25 * minute) {
        await replicas[0].sessions.useById(session.id);
        await replicas[0].revocations.revoke({ kind: "token", tokenId: "x".repeat(27), expireTime: now });
      }
      now = expireTime + 4_999;
      await replicas[0].revocations.revoke({ kind: "token", tokenId: "x".repeat(27), expireTime: now });
      assert.equal(await isGood(other), true, "within the skew a token is still good");
      assert.equal(await isGood(accessToken), false, "but not the revoked one");
      now = before;
    });

    it("of a session take all that came of it", async () => {
      const [one, other] = [await signIn("alice"), await signIn("alice")];
      await replicas[1].revocations.revoke({ kind: "session", sessionId: one.session.id });
      assert.equal(await isGood(one.accessToken), false);
      assert.equal(await isGood(other.accessToken), true);
      await assert.rejects(replicas[0].issuer.refresh({ token: one.refreshToken ?? "", scopes: [] }), {
        code: "UNAUTHENTICATED",
      });
      await replicas[1].revocations.revoke({ kind: "session", sessionId: one.session.id });
      await replicas[1].revocations.revoke({ kind: "session", sessionId: "none" });
    });

    it("of a user take every session and token up to then, and a sign-in at once after it is good", async () => {
      const [one, two, bobs] = [await signIn("alice"), await signIn("alice"), await signIn("bob")];
      const loose = await grant();
      await replicas[1].revocations.revoke({ kind: "user", user: "alice" });
      for (const token of [one.accessToken, two.accessToken, loose]) assert.equal(await isGood(token), false);
      for (const { refreshToken } of [one, two]) {
        const use = replicas[1].issuer.refresh({ token: refreshToken ?? "", scopes: [] });
        await assert.rejects(use, { code: "UNAUTHENTICATED" });
      }
      assert.equal(await isGood(bobs.accessToken), true);
      assert.equal(await isGood((await signIn("alice")).accessToken), true, "in the same millisecond");
      now += 1;
      assert.equal(await isGood(await grant()), true);
    });

    it("of a client take its own tokens and those that users gave it, and no one else's", async () => {
      const { session, accessToken, refreshToken = "" } = await signIn("bob");
      const own = await grant(ofClient);
      const delegated = await grant({ ...ofClient, clientId: "shop" });
      const exchanged = await grant({ principalType: "Client", subject: "shop", clientId: "reports" });
      const another = await grant({ principalType: "Client", subject: "shop", clientId: "shop" });
      const given = await replicas[0].issuer.refresh({
        token: refreshToken,
        scopes: [],
        client: { id: "reports", scopes: [] },
      });
      await replicas[1].revocations.revoke({ kind: "client", client: "reports" });
      for (const token of [own, delegated, exchanged, given.accessToken]) assert.equal(await isGood(token), false);
      const use = replicas[0].issuer.refresh({
        token: given.refreshToken ?? "",
        scopes: [],
        client: { id: "reports", scopes: [] },
      });
      await assert.rejects(use, { code: "UNAUTHENTICATED" });
      for (const token of [accessToken, another]) assert.equal(await isGood(token), true);
      now += 1;
      assert.equal(await isGood(await grant(ofClient)), true);
      assert.equal(await isGood(await grant({ subject: "bob", sessionId: session.id, clientId: "reports" })), true);
    });

    it("are announced, each once it is in the store", async () => {
      const { announced, revocations } = replicas[0];
      announced.length = 0;
      const revocation: Revocation = { kind: "client", client: "shop" };
      assert.equal(await revocations.revoke(revocation), "1");
      assert.deepEqual(announced, [revocation]);
    });
  });
}
