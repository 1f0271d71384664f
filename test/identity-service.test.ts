import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { MethodOptions_IdempotencyLevel, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AuthService } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { IdentityService } from "../gen/gatehouse/auth/v1/identity_service_pb.ts";
import { PolicyAdminService } from "../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import { BadRequestSchema, ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { type Deployment, startDeployment } from "./support/deployment.ts";
import { startRedisServer } from "./support/redis-server.ts";

/** What a refused call says: code, reason, and the first field at fault. */
async function refusal(call: Promise<unknown>): Promise<string[]> {
  const error = await call.then(
    () => assert.fail("the call was accepted"),
    (thrown: unknown) => ConnectError.from(thrown),
  );
  const fields = error.findDetails(BadRequestSchema).flatMap((bad) => bad.fieldViolations.map(({ field }) => field));
  return [Code[error.code] ?? "", error.findDetails(ErrorInfoSchema)[0]?.reason ?? "", ...fields];
}

const notValid = ["Unauthenticated", "CREDENTIAL_NOT_VALID"];
const denied = ["PermissionDenied", "PERMISSION_DENIED"];

/** A request of each method that is well-formed, and finds nobody. */
const complete: Readonly<Record<string, object>> = {
  createUser: { name: "mallory" },
  getUser: { name: "nobody" },
  updateUser: { name: "nobody", disabled: true, updateMask: { paths: ["disabled"] } },
  setPassword: { name: "nobody", password: "mallory was here" },
  deleteUser: { name: "nobody" },
  listUserSessions: { name: "nobody" },
  removeSecondFactors: { name: "nobody" },
  unlockUser: { name: "nobody" },
  createApiKey: { user: "nobody" },
  listApiKeys: { user: "nobody" },
  revokeApiKey: { id: "AAAAAAAAAAAAAAAA" },
  createClient: { id: "mallory" },
  getClient: { id: "nobody" },
  updateClient: { id: "nobody", disabled: true, updateMask: { paths: ["disabled"] } },
  rotateClientSecret: { id: "nobody" },
  deleteClient: { id: "nobody" },
};

interface Backend {
  readonly env: Readonly<Record<string, string>>;
  /** Ends the store without warning, and starts it again on what it had written. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

const backends: Readonly<Record<string, () => Promise<Backend>>> = {
  // It lives and dies with auth-service.
  SQLite: async () => ({ env: {}, crash: async () => undefined, stop: async () => undefined }),
  Redis: async () => {
    const server = await startRedisServer();
    return {
      env: { REDIS_URL: server.url },
      async crash() {
        await server.kill();
        await server.start();
      },
      stop: () => server.stop(),
    };
  },
};

for (const [name, startBackend] of Object.entries(backends)) {
  describe(`IdentityService on ${name}`, () => {
    let backend: Backend;
    let deployment: Deployment;
    let auth: Client<typeof AuthService>;
    let adminToken: string;
    let admin: Client<typeof IdentityService>;

    const transport = () => createGrpcTransport({ baseUrl: `http://127.0.0.1:${deployment.ports.auth}` });
    /** IdentityService as the holder of a token sees it. */
    function as(token: string | undefined): Client<typeof IdentityService> {
      return createClient(
        IdentityService,
        createGrpcTransport({
          baseUrl: `http://127.0.0.1:${deployment.ports.auth}`,
          interceptors: [
            (next) => (request) => {
              if (token !== undefined) request.header.set("authorization", token);
              return next(request);
            },
          ],
        }),
      );
    }
    async function signIn(username: string, password: string): Promise<string> {
      return (await auth.authenticate({ credential: { case: "password", value: { username, password } } }))
        .sessionToken;
    }
    const withSession = (token: string) => auth.authenticate({ credential: { case: "bearerToken", value: token } });
    const withKey = (key: string) => auth.authenticate({ credential: { case: "apiKey", value: key } });
    const may = (key: string, action: string) =>
      auth.authorize({
        credential: { case: "apiKey", value: key },
        action: { type: "Action", id: action },
        resource: { type: "Document", id: "handbook" },
      });

    before(async () => {
      backend = await startBackend();
      deployment = await startDeployment({ ...backend.env, POLICY_TIMEOUT: "2s" });
      auth = createClient(AuthService, transport());
      adminToken = await signIn("admin", "gatehouse");
      admin = as(`Bearer ${adminToken}`);
    });
    after(async () => {
      await deployment.close();
      await backend.stop();
    });

    it("asks every method for a credential, and policies for a permission", async () => {
      const alice = await signIn("alice", "wonderland");
      for (const [credential, expected] of [
        [undefined, ["Unauthenticated", "CREDENTIAL_MISSING"]],
        ["Basic YWRtaW46Z2F0ZWhvdXNl", ["Unauthenticated", "CREDENTIAL_MISSING"]],
        ["Bearer ", ["Unauthenticated", "CREDENTIAL_MISSING"]],
        [`Bearer ${adminToken.slice(0, -4)}AAAA`, notValid],
        ["Bearer gh_nonsense", notValid],
        [`Bearer ${alice}`, denied],
      ] as const) {
        const caller = as(credential);
        const calls = {
          createUser: caller.createUser({ name: "mallory" }),
          getUser: caller.getUser({ name: "alice" }),
          listUsers: caller.listUsers({}),
          updateUser: caller.updateUser({ name: "alice", disabled: true, updateMask: { paths: ["disabled"] } }),
          setPassword: caller.setPassword({ name: "alice", password: "mallory was here" }),
          deleteUser: caller.deleteUser({ name: "alice" }),
          listUserSessions: caller.listUserSessions({ name: "alice" }),
          removeSecondFactors: caller.removeSecondFactors({ name: "alice" }),
          unlockUser: caller.unlockUser({ name: "alice" }),
          createApiKey: caller.createApiKey({ user: "admin" }),
          listApiKeys: caller.listApiKeys({ user: "admin" }),
          revokeApiKey: caller.revokeApiKey({ id: "AAAAAAAAAAAAAAAA" }),
          createClient: caller.createClient({ id: "mallory" }),
          getClient: caller.getClient({ id: "mallory" }),
          listClients: caller.listClients({}),
          updateClient: caller.updateClient({ id: "mallory", disabled: true, updateMask: { paths: ["disabled"] } }),
          rotateClientSecret: caller.rotateClientSecret({ id: "mallory" }),
          deleteClient: caller.deleteClient({ id: "mallory" }),
          rotateKeys: caller.rotateKeys({ dropOthers: true }),
          listKeys: caller.listKeys({}),
        };
        assert.deepEqual(Object.keys(calls), Object.keys(IdentityService.method), "every method is tried");
        const refusals = await Promise.all(Object.values(calls).map(refusal));
        for (const answer of refusals) assert.deepEqual(answer, expected);
      }
      assert.ok(await withSession(alice), "nothing was done");
    });

    it("lets a viewer read, and do nothing else", async () => {
      await admin.createUser({ name: "viewer", roles: ["gatehouse-viewer"] });
      const { key } = await admin.createApiKey({ user: "viewer" });
      const viewer = as(`Bearer ${key}`);
      for (const method of IdentityService.methods) {
        // Whoever may call it hears that the request is not complete, or what it asks for.
        const call = viewer[method.localName as keyof typeof viewer] as (request: object) => Promise<unknown>;
        const request = { ...complete[method.localName] };
        const [code] = await refusal(call(request)).catch(() => ["accepted"]);
        const reads = method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
        assert.equal(code === "PermissionDenied", !reads, `${method.name}: ${code}`);
      }
    });

    it("is one with PolicyAdminService: the same credentials, and the same scopes", async () => {
      const baseUrl = `http://127.0.0.1:${deployment.ports.policy}`;
      const policy = createClient(PolicyAdminService, createGrpcTransport({ baseUrl }));
      const list = (token: string) =>
        policy.listRevisions({}, { headers: { authorization: `Bearer ${token}` }, timeoutMs: 2_000 });
      const { key } = await admin.createApiKey({ user: "admin", scopes: ["Gatehouse::ListUsers"] });
      const { key: other } = await admin.createApiKey({ user: "admin", scopes: ["Gatehouse::ListRevisions"] });
      const { key: free } = await admin.createApiKey({ user: "admin" });
      assert.equal((await refusal(list(key)))[0], "PermissionDenied");
      for (const token of [other, free, adminToken]) assert.ok(await list(token));
      assert.deepEqual(await refusal(as(`Bearer ${other}`).listUsers({})), denied);
    });

    it("creates a user who can sign in, once, and answers what is kept", async () => {
      const { user } = await admin.createUser({
        name: "Carol",
        password: "correct horse",
        roles: ["editor"],
        attributes: { team: "docs", level: 3 },
      });
      assert.equal(user?.name, "carol");
      assert.deepEqual([user?.roles, user?.attributes], [["editor"], { team: "docs", level: 3 }]);
      assert.deepEqual([user?.disabled, user?.hasPassword], [false, true]);
      assert.ok(await signIn("CAROL", "correct horse"));
      assert.deepEqual((await admin.getUser({ name: "cArOl" })).user, user);
      assert.deepEqual(await refusal(admin.createUser({ name: "ＣＡＲＯＬ" })), ["AlreadyExists", "USER_EXISTS"]);
      assert.deepEqual(await refusal(admin.getUser({ name: "nobody" })), ["NotFound", "USER_NOT_FOUND"]);
    });

    it("lists all users, page by page", async () => {
      for (let index = 0; index < 5; index += 1) await admin.createUser({ name: `page-${index}` });
      const all = (await admin.listUsers({})).users.map((user) => user.name);
      assert.deepEqual(all, [...all].sort());
      assert.ok(["admin", "alice", "bob", "page-0", "page-4"].every((user) => all.includes(user)));
      const paged: string[] = [];
      for (let pageToken = ""; ; ) {
        const page = await admin.listUsers({ pageSize: 2, pageToken });
        paged.push(...page.users.map((user) => user.name));
        pageToken = page.nextPageToken;
        if (pageToken === "") break;
        assert.equal(page.users.length, 2);
      }
      assert.deepEqual(paged, all);
      const forged = ["InvalidArgument", "INVALID_REQUEST", "page_token"];
      assert.deepEqual(await refusal(admin.listUsers({ pageToken: "not ours" })), forged);
    });

    it("replaces what the mask names, if the version is the expected one", async () => {
      const { user } = await admin.createUser({ name: "dave", roles: ["viewer"], attributes: { team: "docs" } });
      const { version } = user!;
      const changes = { name: "Dave", roles: ["editor"], attributes: { team: "web" } };
      const update = (paths: string[], expectedVersion: bigint) =>
        admin.updateUser({ ...changes, updateMask: { paths }, expectedVersion });
      const { user: updated } = await update(["attributes"], version);
      assert.deepEqual([updated?.roles, updated?.attributes], [["viewer"], { team: "web" }]);
      assert.notEqual(updated?.version, version);
      assert.deepEqual(await refusal(update(["roles"], version)), ["Aborted", "USER_CHANGED"]);
      assert.deepEqual((await admin.getUser({ name: "dave" })).user, updated);
      assert.deepEqual((await update(["roles", "attributes"], updated!.version)).user?.roles, ["editor"]);
      assert.deepEqual(await refusal(admin.deleteUser({ name: "dave", expectedVersion: version })), [
        "Aborted",
        "USER_CHANGED",
      ]);
      const masked = ["InvalidArgument", "INVALID_REQUEST"];
      assert.deepEqual((await refusal(update([], 0n))).slice(0, 2), masked);
      assert.deepEqual((await refusal(update(["password"], 0n))).slice(0, 2), masked);
      assert.deepEqual((await refusal(admin.updateUser({ name: "dave" }))).slice(0, 2), masked);
    });

    it("ends all sessions with a change of roles, a password, by disabling and by deleting, and not otherwise", async () => {
      const password = "correct horse";
      const changes: Readonly<Record<string, () => Promise<unknown>>> = {
        roles: () => admin.updateUser({ name: "erin", roles: ["viewer"], updateMask: { paths: ["roles"] } }),
        password: () => admin.setPassword({ name: "erin", password }),
        disabling: () => admin.updateUser({ name: "erin", disabled: true, updateMask: { paths: ["disabled"] } }),
        deleting: () => admin.deleteUser({ name: "erin" }),
      };
      for (const [change, make] of Object.entries(changes)) {
        await admin.createUser({ name: "erin", password }).catch(() => undefined);
        await admin.updateUser({ name: "erin", disabled: false, updateMask: { paths: ["disabled"] } });
        const sessions = [await signIn("erin", password), await signIn("erin", password)];
        await admin.updateUser({ name: "erin", attributes: { a: 1 }, updateMask: { paths: ["attributes"] } });
        for (const session of sessions) assert.equal((await withSession(session)).principal?.id, "erin");
        assert.equal((await admin.listUserSessions({ name: "Erin" })).sessions.length, 2);
        await make();
        for (const session of sessions) assert.deepEqual(await refusal(withSession(session)), notValid, change);
        if (change === "deleting") continue;
        assert.equal((await admin.listUserSessions({ name: "erin" })).sessions.length, 0, change);
      }
      await admin.createUser({ name: "erin", password });
      assert.equal((await admin.listUserSessions({ name: "erin" })).sessions.length, 0);
    });

    it("sets a password and removes it", async () => {
      await admin.createUser({ name: "frank", password: "the first one" });
      await admin.setPassword({ name: "frank", password: "the second one" });
      assert.deepEqual(await refusal(signIn("frank", "the first one")), notValid);
      assert.ok(await signIn("frank", "the second one"));
      const { user } = await admin.setPassword({ name: "frank" });
      assert.equal(user?.hasPassword, false);
      assert.deepEqual(await refusal(signIn("frank", "the second one")), notValid);
      const short = ["InvalidArgument", "INVALID_REQUEST", "password"];
      assert.deepEqual(await refusal(admin.setPassword({ name: "frank", password: "short" })), short);
      assert.deepEqual(await refusal(admin.setPassword({ name: "nobody", password: "long enough" })), [
        "NotFound",
        "USER_NOT_FOUND",
      ]);
    });

    it("refuses names and attributes that nobody should have", async () => {
      const invalid = async (request: Parameters<typeof admin.createUser>[0]): Promise<string | undefined> => {
        const [code, reason, field] = await refusal(admin.createUser(request));
        assert.deepEqual([code, reason], ["InvalidArgument", "INVALID_REQUEST"]);
        return field;
      };
      for (const bad of ["", " a", "a ", "a\0b", "a\nb", "a\u202eb", "x".repeat(257), "ﷺ".repeat(80)]) {
        assert.equal(await invalid({ name: bad }), "name", JSON.stringify(bad));
      }
      const deep = JSON.parse(`${'{"a":'.repeat(40)}1${"}".repeat(40)}`) as { a: string };
      for (const attributes of [{ a: null }, { a: 1.5 }, { a: [2 ** 60] }, deep, { a: "x".repeat(17_000) }]) {
        assert.equal(await invalid({ name: "heidi", attributes }), "attributes");
      }
      assert.match((await invalid({ name: "heidi", roles: ["a", "a"] })) ?? "", /^roles/);
      assert.match((await invalid({ name: "heidi", roles: [""] })) ?? "", /^roles/);
    });

    it("makes API keys that stand for their user, and shows each text once", async () => {
      const { user } = await admin.createUser({
        name: "grace",
        roles: ["gatehouse-viewer"],
        attributes: { team: "ops" },
      });
      const { apiKey, key } = await admin.createApiKey({ user: "Grace", displayName: "ci" });
      assert.equal(apiKey?.user, "grace");
      const answer = await withKey(key);
      assert.deepEqual([answer.principal?.type, answer.principal?.id], ["User", "grace"]);
      assert.deepEqual([answer.principal?.roles, answer.principal?.attributes], [user?.roles, user?.attributes]);
      assert.deepEqual([answer.session, answer.sessionToken, answer.apiKeyScopes], [undefined, "", []]);
      const { apiKeys } = await admin.listApiKeys({ user: "grace" });
      assert.deepEqual(
        apiKeys.map(({ id, displayName }) => [id, displayName]),
        [[apiKey?.id, "ci"]],
      );
      assert.ok(apiKeys[0]?.lastUsedTime !== undefined);
      const viewer = as(`Bearer ${key}`);
      assert.equal((await viewer.getUser({ name: "alice" })).user?.name, "alice");
      assert.deepEqual(await refusal(viewer.createUser({ name: "mallory" })), denied);
      assert.deepEqual(await refusal(withSession(key)), notValid, "a key is no session token");

      const typo = key.slice(0, 30) + (key[30] === "A" ? "B" : "A") + key.slice(31);
      for (const wrong of [typo, key.slice(0, -1), `${key}A`, apiKey!.id]) {
        assert.deepEqual(await refusal(withKey(wrong)), notValid);
      }
      await admin.updateUser({ name: "grace", disabled: true, updateMask: { paths: ["disabled"] } });
      assert.deepEqual(await refusal(withKey(key)), notValid, "its user is disabled");
      await admin.updateUser({ name: "grace", disabled: false, updateMask: { paths: ["disabled"] } });
      assert.ok(await withKey(key));
      await admin.revokeApiKey({ id: apiKey!.id });
      assert.deepEqual(await refusal(withKey(key)), notValid, "it is revoked");
      assert.deepEqual(await refusal(admin.revokeApiKey({ id: apiKey!.id })), ["NotFound", "API_KEY_NOT_FOUND"]);

      const left = await admin.createApiKey({ user: "grace" });
      await admin.deleteUser({ name: "grace" });
      await admin.createUser({ name: "grace" });
      assert.deepEqual(await refusal(withKey(left.key)), notValid, "its user is another");
    });

    it("makes no tokens of a key, describes it to whoever has it, and revokes it for them", async () => {
      const { key, apiKey } = await admin.createApiKey({ user: "alice", scopes: ["view"] });
      const described = await auth.introspect({ token: key });
      assert.deepEqual(
        [described.active, described.tokenUse, described.principal?.id, described.scopes, described.expireTime],
        [true, "api_key", "alice", ["view"], undefined],
      );
      const [listed] = (await admin.listApiKeys({ user: "alice" })).apiKeys;
      assert.deepEqual([listed?.id, listed?.lastUsedTime], [apiKey?.id, undefined], "to be described is no use");
      const credential = { case: "apiKey", value: key } as const;
      const tokens = refusal(auth.authenticate({ credential, issueTokens: true }));
      assert.deepEqual(await tokens, ["InvalidArgument", "INVALID_REQUEST", "issue_tokens"]);
      await auth.revoke({ target: { case: "token", value: key } });
      assert.deepEqual(await refusal(withKey(key)), notValid);
      assert.equal((await auth.introspect({ token: key })).active, false);
    });

    it("takes an access token of an admin, and ends access and refresh tokens with the sessions", async () => {
      const signInFor = async (username: string, password: string) => {
        const credential = { case: "password", value: { username, password } } as const;
        const { tokens, session } = await auth.authenticate({ credential, issueTokens: true });
        assert.ok(tokens && session);
        return { ...tokens, sessionId: session.id };
      };
      const { accessToken } = await signInFor("admin", "gatehouse");
      const viaToken = as(`Bearer ${accessToken}`);
      await viaToken.createUser({ name: "mike", password: "correct horse" });
      const mikes = await signInFor("mike", "correct horse");
      assert.deepEqual(await refusal(as(`Bearer ${mikes.accessToken}`).listUsers({})), denied);
      await viaToken.updateUser({ name: "mike", roles: ["editor"], updateMask: { paths: ["roles"] } });
      assert.deepEqual(await refusal(withSession(mikes.accessToken)), notValid);
      assert.deepEqual(await refusal(auth.refresh({ refreshToken: mikes.refreshToken })), notValid);

      const again = await signInFor("mike", "correct horse");
      const revoke = { target: { case: "sessionId", value: again.sessionId } } as const;
      const headers = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
      assert.deepEqual(await refusal(auth.revoke(revoke)), ["Unauthenticated", "CREDENTIAL_MISSING"]);
      assert.deepEqual(await refusal(auth.revoke(revoke, headers(again.accessToken))), denied);
      assert.ok(await withSession(again.accessToken));
      await auth.revoke(revoke, headers(accessToken));
      assert.deepEqual(await refusal(withSession(again.accessToken)), notValid);
    });

    it("holds a key to its scopes and to its time", async () => {
      await admin.createUser({ name: "heidi", roles: ["gatehouse-admin"] });
      const scopes = ["view", "Gatehouse::GetUser"];
      const { key } = await admin.createApiKey({ user: "heidi", scopes });
      assert.deepEqual((await withKey(key)).apiKeyScopes, scopes);
      assert.equal((await may(key, "edit")).allowed, false);
      const limited = as(`Bearer ${key}`);
      assert.equal((await limited.getUser({ name: "heidi" })).user?.name, "heidi");
      assert.deepEqual(await refusal(limited.listUsers({})), denied);

      const expireTime = timestampFromMs(Date.now() + 1_500);
      const brief = await admin.createApiKey({ user: "heidi", expireTime });
      assert.deepEqual((await withKey(brief.key)).expireTime, expireTime);
      while (Date.now() < Number(expireTime.seconds) * 1_000 + expireTime.nanos / 1e6) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      assert.deepEqual(await refusal(withKey(brief.key)), notValid);
      const past = { user: "heidi", expireTime: timestampFromMs(Date.now() - 1) };
      assert.deepEqual(await refusal(admin.createApiKey(past)), ["InvalidArgument", "INVALID_REQUEST", "expire_time"]);
      const spaced = await refusal(admin.createApiKey({ user: "heidi", scopes: ["two words"] }));
      assert.deepEqual(spaced.slice(0, 2), ["InvalidArgument", "INVALID_REQUEST"]);
      assert.deepEqual(await refusal(admin.createApiKey({ user: "nobody" })), ["NotFound", "USER_NOT_FOUND"]);
    });

    it("answers Authorize for a key as for its user, within its scopes", async () => {
      const { key: free } = await admin.createApiKey({ user: "alice" });
      const { key: scoped } = await admin.createApiKey({ user: "alice", scopes: ["view"] });
      assert.deepEqual(
        [(await may(free, "view")).allowed, (await may(free, "edit")).allowed],
        [true, true],
        "alice is an editor",
      );
      assert.equal((await may(scoped, "view")).allowed, true);
      const outside = await may(scoped, "edit");
      assert.deepEqual([outside.allowed, outside.principal?.id, outside.determiningPolicies], [false, "alice", []]);
    });

    it("says nothing of keys and passwords in its log", async () => {
      const { key } = await admin.createApiKey({ user: "bob" });
      await refusal(admin.setPassword({ name: "bob", password: "seen-no\0where", expectedVersion: 1n }));
      await refusal(as(`Bearer ${key}`).createUser({ name: "mallory", password: "seen-nowhere" }));
      const log = deployment.output.join("\n");
      assert.ok(!log.includes(key.slice(3)) && !log.includes("seen-no") && !log.includes(adminToken));
    });

    it("keeps what it acknowledged through kill -9, and permits nothing without policy-service", async () => {
      const { key } = await admin.createApiKey({ user: "alice" });
      const { apiKey: revoked, key: revokedKey } = await admin.createApiKey({ user: "alice" });
      await admin.createUser({ name: "ivan", password: "correct horse" });
      await admin.revokeApiKey({ id: revoked!.id });
      await deployment.auth.stop("SIGKILL");
      await backend.crash();
      await deployment.restart("auth");
      auth = createClient(AuthService, transport());
      admin = as(`Bearer ${adminToken}`);
      assert.ok(await withKey(key));
      assert.ok(await signIn("ivan", "correct horse"));
      assert.deepEqual(await refusal(withKey(revokedKey)), notValid);

      await deployment.policy.stop("SIGKILL");
      const away = await refusal(admin.getUser({ name: "alice" }));
      assert.equal(away[0], "Unavailable");
      assert.ok(await withKey(key), "who somebody is can still be told");
      await deployment.restart("policy");
    });
  });
}
