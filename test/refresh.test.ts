/** Refresh tokens on running services: two replicas on one store. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { type AuthServer, signIn, startAuthServer } from "./support/auth-server.ts";
import { type Backend, backends } from "./support/store-backends.ts";

const { "Redis Cluster": _, ...tested } = backends;

for (const [name, start] of Object.entries(tested)) {
  describe(`refresh tokens on ${name}`, () => {
    let backend: Backend;
    let replicas: readonly [AuthServer, AuthServer];
    let now = Date.now();

    before(async () => {
      backend = await start();
      const env = { ...backend.env, USER_SCOPES: "read write", AUTH_ISSUER: "http://auth.test" };
      const clock = (): number => now;
      replicas = [await startAuthServer({ env, clock }), await startAuthServer({ env, clock })];
    });
    after(async () => {
      for (const replica of replicas) await replica.close();
      await backend.close();
    });

    async function refresh(refreshToken: string, scopes: readonly string[] = [], replica = 0) {
      const { tokens } = await replicas[replica]!.client.refresh({ refreshToken, scopes: [...scopes] });
      assert.ok(tokens);
      return tokens;
    }

    const refused = (refreshToken: string, code = Code.Unauthenticated, scopes: readonly string[] = []) =>
      assert.rejects(refresh(refreshToken, scopes), (error) => ConnectError.from(error).code === code);

    const isGood = async (value: string): Promise<boolean> => {
      const answers = await Promise.all(
        replicas.map(({ client }) =>
          client.authenticate({ credential: { case: "bearerToken", value } }).then(
            () => true,
            () => false,
          ),
        ),
      );
      assert.equal(answers[0], answers[1], "the replicas agree");
      return answers[0] ?? false;
    };

    it("come with a password only, and bring an access token of the same session", async () => {
      const { refreshToken, sessionToken, sessionId } = await signIn(replicas[0].client, ["read"]);
      const { tokens } = await replicas[1].client.authenticate({
        credential: { case: "bearerToken", value: sessionToken },
        issueTokens: true,
      });
      assert.ok(tokens?.accessToken);
      assert.equal(tokens?.refreshToken, "");
      const next = await refresh(refreshToken);
      assert.deepEqual(next.scopes, ["read"]);
      assert.equal(next.tokenType, "Bearer");
      assert.notEqual(next.refreshToken, refreshToken);
      const described = await replicas[1].client.introspect({ token: next.accessToken });
      assert.equal(described.sessionId, sessionId);
      assert.deepEqual(described.scopes, ["read"]);
    });

    it("are not to be had for an access token, which would never end", async () => {
      const { accessToken } = await signIn(replicas[0].client);
      const again = replicas[0].client.authenticate({
        credential: { case: "bearerToken", value: accessToken },
        issueTokens: true,
      });
      await assert.rejects(again, { code: Code.InvalidArgument });
    });

    it("of 100 uses at once on two replicas give one successor", async () => {
      const { refreshToken } = await signIn(replicas[0].client);
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, index) => refresh(refreshToken, [], index % 2)),
      );
      const successors = new Set(answers.map((tokens) => tokens.refreshToken));
      assert.equal(successors.size, 1);
      assert.equal(await isGood(answers[99]?.accessToken ?? ""), true);
      const [successor = ""] = successors;
      await refresh(successor, [], 1);
    });

    it("of 100 uses at once without any grace give one successor at most, which is then no good", async () => {
      const env = { ...backend.env, AUTH_ISSUER: "http://auth.test", REFRESH_GRACE: "0s" };
      const strict = await startAuthServer({ env });
      try {
        const { refreshToken, accessToken } = await signIn(strict.client);
        const uses = Array.from({ length: 100 }, () => strict.client.refresh({ refreshToken }));
        const answers = (await Promise.allSettled(uses)).flatMap((use) =>
          use.status === "fulfilled" ? [use.value.tokens?.refreshToken ?? ""] : [],
        );
        assert.ok(answers.length <= 1, `${answers.length} were answered`);
        for (const successor of answers) {
          await assert.rejects(strict.client.refresh({ refreshToken: successor }), { code: Code.Unauthenticated });
        }
        assert.equal(await isGood(accessToken), false, "the session has ended");
      } finally {
        await strict.close();
      }
    });

    it("that are used again after the grace end the session and all that came of it", async () => {
      const { refreshToken, sessionToken, accessToken } = await signIn(replicas[0].client);
      const thief = await refresh(refreshToken);
      now += 9_999;
      assert.equal((await refresh(refreshToken, [], 1)).refreshToken, thief.refreshToken, "an honest client's race");
      now += 1;
      const other = await signIn(replicas[1].client);
      await refused(refreshToken);
      for (const token of [sessionToken, accessToken, thief.accessToken]) assert.equal(await isGood(token), false);
      await refused(thief.refreshToken);
      await refused(refreshToken);
      assert.equal(await isGood(other.accessToken), true, "another session of the user is none of its business");
    });

    it("that are two steps old end the session, however quick it was", async () => {
      const { refreshToken, accessToken } = await signIn(replicas[0].client);
      const second = await refresh(refreshToken);
      await refresh(second.refreshToken);
      await refused(refreshToken);
      assert.equal(await isGood(accessToken), false);
    });

    it("cannot be made up of the id of a session, which is no secret, to end it", async () => {
      const { refreshToken, sessionId, accessToken } = await signIn(replicas[0].client);
      const made = [
        `gtr_${sessionId}${"A".repeat(86)}`,
        `gtr_${sessionId}`,
        refreshToken.slice(0, 28) + refreshToken.slice(-43) + refreshToken.slice(-43),
        refreshToken.slice(0, -1),
        `${refreshToken}A`,
        refreshToken.replace("gtr_", "GTR_"),
        "gtr_",
        "x".repeat(1_024),
      ];
      for (const token of made) await refused(token);
      assert.equal(await isGood(accessToken), true);
      await refresh(refreshToken);
    });

    it("are not spent by a request that asks for too much", async () => {
      const { refreshToken } = await signIn(replicas[0].client, ["read"]);
      for (const scopes of [["write"], ["read", "write"], ["re ad"], [" "]]) {
        await refused(refreshToken, Code.InvalidArgument, scopes);
      }
      now += 60_000;
      assert.deepEqual((await refresh(refreshToken, ["read"])).scopes, ["read"]);
    });

    it("end with their session: by its idle time, its age, its revocation, or its user's", async () => {
      const idle = await signIn(replicas[0].client);
      now += 30 * 60_000;
      await refused(idle.refreshToken);

      const ended = await signIn(replicas[0].client);
      await replicas[1].client.revoke({ target: { case: "token", value: ended.sessionToken } });
      await refused(ended.refreshToken);

      const bobs = await signIn(replicas[0].client, [], "bob");
      await replicas[1].stores.identities.updateUser("bob", { disabled: true });
      await refused(bobs.refreshToken);
      await replicas[1].stores.identities.updateUser("bob", { disabled: false });
      await refresh(bobs.refreshToken);
    });

    it("keep a session alive that is used by nothing else", async () => {
      let { refreshToken } = await signIn(replicas[0].client);
      for (let step = 0; step < 4; step += 1) {
        now += 20 * 60_000;
        ({ refreshToken } = await refresh(refreshToken, [], step % 2));
      }
    });

    it("are not in the store, nor are their successors", async () => {
      const { refreshToken } = await signIn(replicas[0].client);
      const { refreshToken: successor } = await refresh(refreshToken);
      const kept = await backend.dump();
      assert.ok(kept.includes(refreshToken.slice(4, 28)), "the family is");
      for (const token of [refreshToken, successor]) {
        for (const secret of [token.slice(-43), token.slice(28, 71)]) {
          assert.ok(!kept.includes(secret));
          assert.ok(!kept.includes(Buffer.from(secret, "base64url").toString("latin1")));
        }
      }
    });
  });
}
