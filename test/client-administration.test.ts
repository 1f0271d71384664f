/** OAuth clients and signing keys are administered, and a stock client lives with what becomes of them. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { JsonObject } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { exportJWK, generateKeyPair } from "jose";
import * as oidc from "openid-client";
import { AuthService } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { IdentityService } from "../gen/gatehouse/auth/v1/identity_service_pb.ts";
import { SigningKeyState } from "../gen/gatehouse/auth/v1/signing_key_pb.ts";
import { BadRequestSchema, ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { type Deployment, startDeployment } from "./support/deployment.ts";
import { runGatehouse } from "./support/gatehouse-command.ts";
import { startRedisServer } from "./support/redis-server.ts";

/** What a refused call says: code, reason, and the fields at fault. */
async function refusal(call: Promise<unknown>): Promise<string[]> {
  const error = await call.then(
    () => assert.fail("the call was accepted"),
    (thrown: unknown) => ConnectError.from(thrown),
  );
  const fields = error.findDetails(BadRequestSchema).flatMap((bad) => bad.fieldViolations.map(({ field }) => field));
  return [Code[error.code] ?? "", error.findDetails(ErrorInfoSchema)[0]?.reason ?? "", ...fields];
}

const backends: Readonly<Record<string, () => Promise<{ env: Record<string, string>; stop: () => Promise<void> }>>> = {
  SQLite: async () => ({ env: {}, stop: async () => undefined }),
  Redis: async () => {
    const server = await startRedisServer();
    return { env: { REDIS_URL: server.url }, stop: () => server.stop() };
  },
};

for (const [name, startBackend] of Object.entries(backends)) {
  describe(`OAuth clients and signing keys on ${name}`, () => {
    let backend: { env: Record<string, string>; stop: () => Promise<void> };
    let deployment: Deployment;
    let auth: Client<typeof AuthService>;
    let admin: Client<typeof IdentityService>;
    let token: string;

    before(async () => {
      backend = await startBackend();
      deployment = await startDeployment({ ...backend.env, POLICY_TIMEOUT: "2s" });
      const baseUrl = `http://127.0.0.1:${deployment.ports.auth}`;
      auth = createClient(AuthService, createGrpcTransport({ baseUrl }));
      const password = { username: "admin", password: "gatehouse" };
      token = (await auth.authenticate({ credential: { case: "password", value: password } })).sessionToken;
      admin = createClient(
        IdentityService,
        createGrpcTransport({
          baseUrl,
          interceptors: [
            (next) => (request) => {
              request.header.set("authorization", `Bearer ${token}`);
              return next(request);
            },
          ],
        }),
      );
    });
    after(async () => {
      await deployment.close();
      await backend.stop();
    });

    const stock = (id: string, secret: string | oidc.ClientAuth): Promise<oidc.Configuration> =>
      oidc.discovery(
        new URL(`http://127.0.0.1:${deployment.ports.authHttp}`),
        id,
        undefined,
        typeof secret === "string" ? oidc.ClientSecretBasic(secret) : secret,
        { execute: [oidc.allowInsecureRequests], algorithm: "oauth2" },
      );
    async function tokenOf(id: string, secret: string | oidc.ClientAuth): Promise<string> {
      return (await oidc.clientCredentialsGrant(await stock(id, secret))).access_token;
    }
    const isGood = async (accessToken: string): Promise<boolean> =>
      (await auth.introspect({ token: accessToken })).active;
    const reports = (id: string) => ({ id, withSecret: true, grants: ["client_credentials"], scopes: ["read"] });

    it("adds a client, whose secret is shown once and gets it tokens", async () => {
      const { client, secret } = await admin.createClient({
        ...reports("reports"),
        displayName: "Reports",
        audiences: ["billing"],
        roles: ["reporter"],
        attributes: { team: "finance" },
      });
      assert.match(secret, /^gcs_[A-Za-z0-9_-]{43}$/);
      assert.deepEqual(
        [client?.id, client?.displayName, client?.secretCount, client?.grants, client?.roles, client?.attributes],
        ["reports", "Reports", 1, ["client_credentials"], ["reporter"], { team: "finance" }],
      );
      const { client: kept } = await admin.getClient({ id: "reports" });
      assert.deepEqual(kept, client);
      assert.ok(
        !JSON.stringify(kept, (_, value) => (typeof value === "bigint" ? String(value) : value)).includes("gcs_"),
      );
      const accessToken = await tokenOf("reports", secret);
      const { principal } = await auth.authenticate({ credential: { case: "bearerToken", value: accessToken } });
      assert.deepEqual([principal?.type, principal?.id, principal?.roles], ["Client", "reports", ["reporter"]]);
      assert.deepEqual(await refusal(admin.createClient({ id: "reports" })), ["AlreadyExists", "CLIENT_EXISTS"]);
      assert.match((await admin.createClient({})).client?.id ?? "", /^[A-Za-z0-9_-]{22}$/);
    });

    it("adds a client with keys of its own, and refuses those that are none", async () => {
      const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
      const publicJwk = { ...(await exportJWK(publicKey)), kid: "k1", alg: "ES256" };
      const { secret } = await admin.createClient({
        id: "signer",
        grants: ["client_credentials"],
        jwks: [publicJwk as JsonObject],
      });
      assert.equal(secret, "");
      assert.ok(await isGood(await tokenOf("signer", oidc.PrivateKeyJwt({ key: privateKey, kid: "k1" }))));
      const secretJwk = { ...(await exportJWK(privateKey)), kid: "k1" };
      for (const jwks of [
        [secretJwk],
        [{ kty: "oct", k: "c2VjcmV0", kid: "k" }],
        [{ ...publicJwk, use: "enc" }],
        [{ ...publicJwk, x: "AA" }],
        [{}],
        [publicJwk, publicJwk],
      ]) {
        const call = admin.createClient({ id: "broken", jwks: jwks as JsonObject[] });
        assert.deepEqual(await refusal(call), ["InvalidArgument", "INVALID_REQUEST", "jwks"]);
      }
    });

    it("refuses what is not a client", async () => {
      for (const [request, field] of [
        [{ id: "a b" }, "id"],
        [{ id: "a:b" }, "id"],
        [{ id: "é" }, "id"],
        [{ id: "x".repeat(257) }, "id"],
        [{ id: "x", grants: ["password"] }, "grants[0]"],
        [{ id: "x", grants: ["client_credentials"] }, "grants"],
        [{ id: "x", grants: ["refresh_token", "token_exchange"] }, "grants"],
        [{ id: "x", scopes: ["a b"] }, "scopes[0]"],
        [{ id: "x", attributes: { n: 1.5 } }, "attributes"],
      ] as const) {
        const call = admin.createClient(request as Parameters<typeof admin.createClient>[0]);
        assert.deepEqual(await refusal(call), ["InvalidArgument", "INVALID_REQUEST", field], field);
      }
      assert.deepEqual(await refusal(admin.getClient({ id: "x" })), ["NotFound", "CLIENT_NOT_FOUND"]);
    });

    it("lists clients page by page", async () => {
      for (const id of ["page-1", "page-2", "page-3"]) await admin.createClient({ id });
      const ids: string[] = [];
      for (let pageToken = ""; ; ) {
        const { clients, nextPageToken } = await admin.listClients({ pageSize: 2, pageToken });
        assert.ok(clients.length <= 2);
        ids.push(...clients.map(({ id }) => id));
        pageToken = nextPageToken;
        if (pageToken === "") break;
      }
      assert.deepEqual(ids, [...ids].sort());
      for (const id of ["page-1", "page-2", "page-3"]) assert.equal(ids.filter((found) => found === id).length, 1);
      const unknown = admin.listClients({ pageToken: "!" });
      assert.deepEqual(await refusal(unknown), ["InvalidArgument", "INVALID_REQUEST", "page_token"]);
    });

    it("revokes the tokens of a client that is changed, but not for another name", async () => {
      const { secret } = await admin.createClient(reports("changing"));
      let accessToken = await tokenOf("changing", secret);
      const renamed = await admin.updateClient({
        id: "changing",
        displayName: "New name",
        scopes: ["never"],
        updateMask: { paths: ["display_name"] },
      });
      assert.deepEqual([renamed.client?.displayName, renamed.client?.scopes], ["New name", ["read"]]);
      assert.ok(await isGood(accessToken));
      for (const change of [
        { scopes: ["write"], updateMask: { paths: ["scopes"] } },
        { roles: ["other"], updateMask: { paths: ["roles"] } },
        { audiences: ["payroll"], updateMask: { paths: ["audiences"] } },
        { attributes: { team: "x" }, updateMask: { paths: ["attributes"] } },
        { grants: ["client_credentials", "token_exchange"], updateMask: { paths: ["grants"] } },
      ]) {
        await admin.updateClient({ id: "changing", ...change });
        assert.equal(await isGood(accessToken), false, change.updateMask.paths[0]);
        accessToken = await tokenOf("changing", secret);
      }
      await admin.updateClient({ id: "changing", disabled: true, updateMask: { paths: ["disabled"] } });
      assert.equal(await isGood(accessToken), false);
      await assert.rejects(tokenOf("changing", secret));
      await admin.updateClient({ id: "changing", disabled: false, updateMask: { paths: ["disabled"] } });
      assert.equal(await isGood(accessToken), false, "what was revoked does not come back");
      assert.ok(await isGood(await tokenOf("changing", secret)));
      const unproved = { id: "page-1", grants: ["client_credentials"], updateMask: { paths: ["grants"] } };
      assert.deepEqual(await refusal(admin.updateClient(unproved)), ["InvalidArgument", "INVALID_REQUEST", "grants"]);
      const nobody = { id: "nobody", disabled: true, updateMask: { paths: ["disabled"] } };
      assert.deepEqual(await refusal(admin.updateClient(nobody)), ["NotFound", "CLIENT_NOT_FOUND"]);
      const immutable = admin.updateClient({ id: "changing", updateMask: { paths: ["id"] } });
      assert.equal((await refusal(immutable))[0], "InvalidArgument");
    });

    it("replaces a secret, at once or while the one before stays good", async () => {
      const { secret: first } = await admin.createClient(reports("rotating"));
      const accessToken = await tokenOf("rotating", first);
      const { secret: second, client } = await admin.rotateClientSecret({ id: "rotating", keepCurrent: true });
      assert.equal(client?.secretCount, 2);
      for (const secret of [first, second]) assert.ok(await isGood(await tokenOf("rotating", secret)));
      assert.ok(await isGood(accessToken));
      const { secret: third } = await admin.rotateClientSecret({ id: "rotating", keepCurrent: true });
      await assert.rejects(tokenOf("rotating", first));
      for (const secret of [second, third]) assert.ok(await isGood(await tokenOf("rotating", secret)));
      const { secret: fourth } = await admin.rotateClientSecret({ id: "rotating" });
      for (const secret of [second, third]) await assert.rejects(tokenOf("rotating", secret));
      assert.equal(await isGood(accessToken), false);
      assert.ok(await isGood(await tokenOf("rotating", fourth)));
      assert.deepEqual(await refusal(admin.rotateClientSecret({ id: "nobody" })), ["NotFound", "CLIENT_NOT_FOUND"]);
    });

    it("loses none of the secrets that are answered when several rotate at once", async () => {
      await admin.createClient(reports("raced"));
      const outcomes = await Promise.allSettled(
        Array.from({ length: 8 }, () => admin.rotateClientSecret({ id: "raced", keepCurrent: true })),
      );
      const refused = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
      for (const reason of refused)
        assert.deepEqual(await refusal(Promise.reject(reason)), ["Aborted", "CLIENT_CHANGED"]);
      const answered = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
      assert.ok(answered.length > 0);
      const good = await Promise.allSettled(answered.map(({ secret }) => tokenOf("raced", secret)));
      const newest = Math.min(2, answered.length);
      assert.equal(good.filter(({ status }) => status === "fulfilled").length, newest);
    });

    it("revokes the tokens of a client that is deleted, for whoever has its id next as well", async () => {
      const { secret } = await admin.createClient(reports("leaver"));
      const accessToken = await tokenOf("leaver", secret);
      await admin.deleteClient({ id: "leaver" });
      assert.equal(await isGood(accessToken), false);
      await assert.rejects(tokenOf("leaver", secret));
      const { secret: next } = await admin.createClient(reports("leaver"));
      assert.equal(await isGood(accessToken), false);
      assert.ok(await isGood(await tokenOf("leaver", next)));
      await admin.deleteClient({ id: "leaver" });
      assert.deepEqual(await refusal(admin.deleteClient({ id: "leaver" })), ["NotFound", "CLIENT_NOT_FOUND"]);
    });

    it("rotates the signing keys, after the lead time, at once, and for good", async () => {
      const { secret } = await admin.createClient(reports("keyed"));
      const accessToken = await tokenOf("keyed", secret);
      const states = async () =>
        Object.fromEntries((await admin.listKeys({})).keys.map(({ id, state }) => [id, state]));
      const [[first = ""] = []] = Object.entries(await states());
      const { keyId: next } = await admin.rotateKeys({});
      assert.deepEqual(await states(), { [first]: SigningKeyState.SIGNING, [next]: SigningKeyState.PUBLISHED });
      assert.equal((await admin.rotateKeys({})).keyId, next, "it waits for its time");
      const { keyId: signing } = await admin.rotateKeys({ immediately: true });
      assert.deepEqual(await states(), {
        [first]: SigningKeyState.RETIRED,
        [signing]: SigningKeyState.SIGNING,
        [next]: SigningKeyState.PUBLISHED,
      });
      const later = await tokenOf("keyed", secret);
      for (const good of [accessToken, later]) assert.ok(await isGood(good));
      const { keyId: only } = await admin.rotateKeys({ dropOthers: true });
      assert.deepEqual(await states(), { [only]: SigningKeyState.SIGNING });
      for (const dropped of [accessToken, later]) assert.equal(await isGood(dropped), false);
      assert.ok(await isGood(await tokenOf("keyed", secret)));
    });

    if (name !== "SQLite") return;

    it("is all done from the command line as well", async () => {
      const directory = mkdtempSync(join(tmpdir(), "gatehouse-jwks-"));
      const address = ["--address", `127.0.0.1:${deployment.ports.auth}`];
      const gatehouse = (command: string) =>
        runGatehouse([...command.split(" "), ...address], { GATEHOUSE_TOKEN: token });
      async function succeeds(command: string): Promise<string> {
        const { code, out, err } = await gatehouse(command);
        assert.equal(code, 0, err);
        return out;
      }
      const secret = await succeeds(
        "client create shop --name Shop --grant client_credentials --scope read --role clerk",
      );
      assert.ok(await isGood(await tokenOf("shop", secret)));
      const shown = await succeeds("client get shop");
      assert.match(shown, /^id +shop\nname +Shop\nsecrets +1\nkeys +none\ngrants +client_credentials\nscopes +read\n/);
      assert.match(
        await succeeds("client list"),
        /^ID +NAME .*\n(.*\n)*shop +Shop +client_credentials +read +enabled /,
      );
      const rotated = await succeeds("client rotate-secret shop");
      await assert.rejects(tokenOf("shop", secret));
      const { publicKey } = await generateKeyPair("ES256");
      const path = join(directory, "jwks.json");
      writeFileSync(path, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: "k1" }] }));
      const updated = JSON.parse(
        await succeeds(`client update shop --jwks ${path} --scope write --scope read --clear roles --json`),
      );
      assert.deepEqual(
        [updated.client.scopes, updated.client.roles, updated.client.jwks[0].kid, updated.client.grants],
        [["write", "read"], [], "k1", ["client_credentials"]],
      );
      assert.match(await succeeds("client update shop --disable"), /\ndisabled +yes\n/);
      await assert.rejects(tokenOf("shop", rotated));
      for (const [command, code] of [
        ["client update shop", 2],
        ["client update shop --enable --disable", 2],
        ["client update shop --clear everything", 2],
        ["client update shop --role a --clear roles", 2],
        [`client update shop --jwks ${path}x`, 1],
        ["client create shop --no-secret --grant client_credentials", 1],
        ["client get nobody", 1],
      ] as const) {
        assert.equal((await gatehouse(command)).code, code, command);
      }
      assert.equal(await succeeds("client delete shop"), "shop is no more");
      const keyId = await succeeds("keys rotate --immediately");
      assert.match(await succeeds("keys list"), new RegExp(`^ID +ALGORITHM .*\\n(.*\\n)*${keyId} +ES256 +signing `));
      rmSync(directory, { recursive: true });
    });
  });
}
