/** What an administrator revokes, with both services running. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Client, Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AuthService } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { IdentityService } from "../gen/gatehouse/auth/v1/identity_service_pb.ts";
import { signIn } from "./support/auth-server.ts";
import { type Deployment, startDeployment } from "./support/deployment.ts";

describe("an administrator", () => {
  let deployment: Deployment;
  let auth: Client<typeof AuthService>;
  let identity: Client<typeof IdentityService>;
  let admin: { readonly headers: { readonly authorization: string } };

  before(async () => {
    deployment = await startDeployment({ AUTH_ISSUER: "http://auth.test", POLICY_TIMEOUT: "5s" });
    const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${deployment.ports.auth}` });
    auth = createClient(AuthService, transport);
    identity = createClient(IdentityService, transport);
    const { tokens } = await auth.authenticate({
      credential: { case: "password", value: { username: "admin", password: "gatehouse" } },
      issueTokens: true,
    });
    admin = { headers: { authorization: `Bearer ${tokens?.accessToken}` } };
  });
  after(() => deployment.close());

  const isGood = async (value: string): Promise<boolean> =>
    await auth.authenticate({ credential: { case: "bearerToken", value } }).then(
      () => true,
      ({ code }: { code: number }) => {
        assert.equal(code, Code.Unauthenticated);
        return false;
      },
    );

  it("revokes a session, and all of a user's, and others may not", async () => {
    const [one, two, bobs] = [await signIn(auth), await signIn(auth), await signIn(auth, [], "bob")];
    const others = { headers: { authorization: `Bearer ${bobs.accessToken}` } };
    for (const target of [
      { case: "sessionId", value: one.sessionId },
      { case: "user", value: "alice" },
      { case: "client", value: "reports" },
    ] as const) {
      await assert.rejects(auth.revoke({ target }, others), { code: Code.PermissionDenied });
    }
    await auth.revoke({ target: { case: "sessionId", value: one.sessionId } }, admin);
    assert.equal(await isGood(one.accessToken), false);
    assert.equal(await isGood(two.accessToken), true);
    await auth.revoke({ target: { case: "user", value: "ALICE" } }, admin);
    for (const token of [two.accessToken, two.sessionToken]) assert.equal(await isGood(token), false);
    await assert.rejects(auth.refresh({ refreshToken: two.refreshToken }), { code: Code.Unauthenticated });
    assert.equal(await isGood(bobs.accessToken), true);
    assert.equal(await isGood((await signIn(auth)).accessToken), true);
  });

  it("ends every token of a user whose roles, password or state they change", async () => {
    const changes = [
      () => identity.updateUser({ name: "bob", roles: ["viewer"], updateMask: { paths: ["roles"] } }, admin),
      () => identity.setPassword({ name: "bob", password: "builder-2" }, admin),
      () => identity.updateUser({ name: "bob", disabled: true, updateMask: { paths: ["disabled"] } }, admin),
    ];
    for (const [index, change] of changes.entries()) {
      const password = index < 2 ? "builder" : "builder-2";
      const { accessToken, sessionToken, refreshToken } = await signIn(auth, [], "bob", password);
      await change();
      for (const token of [accessToken, sessionToken]) assert.equal(await isGood(token), false);
      await assert.rejects(auth.refresh({ refreshToken }), { code: Code.Unauthenticated });
    }
  });

  it("gives keys that bring no tokens, and are revoked by whoever has them", async () => {
    const made = await identity.createApiKey({ user: "alice", displayName: "ci", scopes: ["view"] }, admin);
    const credential = { case: "apiKey", value: made.key } as const;
    await assert.rejects(auth.authenticate({ credential, issueTokens: true }), { code: Code.InvalidArgument });
    const described = await auth.introspect({ token: made.key });
    assert.deepEqual([described.active, described.tokenUse, described.scopes], [true, "api_key", ["view"]]);
    assert.equal(described.principal?.id, "alice");
    await auth.revoke({ target: { case: "token", value: made.key } });
    assert.equal((await auth.introspect({ token: made.key })).active, false);
    await assert.rejects(auth.authenticate({ credential }), { code: Code.Unauthenticated });
  });

  it("watches revocations of every kind, from now and from where they left off; others may not", async () => {
    const nobody = auth.watchRevocations({})[Symbol.asyncIterator]();
    await assert.rejects(nobody.next(), { code: Code.Unauthenticated });
    const others = { headers: { authorization: `Bearer ${(await signIn(auth)).sessionToken}` } };
    await assert.rejects(auth.watchRevocations({}, others)[Symbol.asyncIterator]().next(), {
      code: Code.PermissionDenied,
    });

    const watch = auth.watchRevocations({}, admin)[Symbol.asyncIterator]();
    const begin = await watch.next();
    assert.equal(begin.value?.subject.case, undefined);
    const { sessionId, accessToken } = await signIn(auth);
    const made = await identity.createApiKey({ user: "alice", displayName: "watched" }, admin);
    await auth.revoke({ target: { case: "token", value: accessToken } });
    await auth.revoke({ target: { case: "sessionId", value: sessionId } }, admin);
    await auth.revoke({ target: { case: "token", value: made.key } });
    await auth.revoke({ target: { case: "user", value: "alice" } }, admin);
    const { position } = await auth.revoke({ target: { case: "client", value: "reports" } }, admin);
    const seen = [];
    for (let i = 0; i < 5; i += 1) seen.push((await watch.next()).value);
    const subjects = seen.map((entry) => entry?.subject);
    assert.equal(subjects[0]?.case, "tokenId");
    assert.deepEqual(subjects.slice(1), [
      { case: "sessionId", value: sessionId },
      { case: "apiKeyId", value: made.apiKey?.id },
      { case: "user", value: "alice" },
      { case: "client", value: "reports" },
    ]);
    assert.equal(seen.at(-1)?.position, position);
    await watch.return?.();

    const again = auth.watchRevocations({ after: seen[3]?.position ?? "" }, admin)[Symbol.asyncIterator]();
    assert.equal((await again.next()).value?.position, seen[3]?.position);
    assert.deepEqual((await again.next()).value?.subject, { case: "client", value: "reports" });
    await again.return?.();
    const late = auth.watchRevocations({ after: "9999999999999-0" }, admin)[Symbol.asyncIterator]();
    await late.next();
    await assert.rejects(late.next(), { code: Code.OutOfRange });
  });
});
