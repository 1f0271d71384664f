/** Tokens of the running service: how it is configured, what it lists and what it revokes. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { createAuthApp } from "../src/auth/app.ts";
import { authFields } from "../src/auth/config.ts";
import { readConfig } from "../src/shared/config/config.ts";
import { createLogger } from "../src/shared/logger/logger.ts";
import { type AuthServer, signIn, startAuthServer } from "./support/auth-server.ts";

describe("tokens", () => {
  let server: AuthServer;

  before(async () => {
    server = await startAuthServer({ env: { USER_SCOPES: "read write", TOKEN_AUDIENCE: "mesh", SESSION_LIMIT: "3" } });
  });
  after(() => server.close());

  const authenticate = (value: string) => server.client.authenticate({ credential: { case: "bearerToken", value } });

  it("say who, for whom, until when, and nothing else", async () => {
    const { accessToken, sessionId } = await signIn(server.client, ["write"]);
    const { kid, ...header } = decodeProtectedHeader(accessToken);
    assert.deepEqual(header, { alg: "ES256", typ: "at+jwt" });
    assert.match(kid ?? "", /^[A-Za-z0-9_-]{43}$/);
    const { iat = 0, exp = 0, jti, ...claims } = decodeJwt(accessToken);
    assert.equal(exp - iat, 900);
    assert.match(jti ?? "", /^[A-Za-z0-9_-]{27}$/);
    assert.deepEqual(claims, {
      iss: server.url,
      aud: "mesh",
      sub: "alice",
      principal_type: "User",
      sid: sessionId,
      scope: "write",
      amr: ["pwd"],
      acr: "aal1",
    });
  });

  it("have all scopes that the user may have, unless fewer are wanted, and none beside", async () => {
    const described = await server.client.introspect({ token: (await signIn(server.client)).accessToken });
    assert.deepEqual(described.scopes, ["read", "write"]);
    assert.equal(described.tokenUse, "access_token");
    assert.deepEqual(described.audiences, ["mesh"]);
    const open = (await server.client.listSessions({ bearerToken: (await signIn(server.client)).sessionToken }))
      .sessions;
    await assert.rejects(signIn(server.client, ["admin"]), { code: Code.InvalidArgument });
    const { sessionToken } = await signIn(server.client, ["read"]);
    const { sessions } = await server.client.listSessions({ bearerToken: sessionToken });
    assert.equal(
      sessions.filter(({ id }) => !open.some((other) => other.id === id)).length,
      1,
      "no session is left of it",
    );
  });

  it("list the live sessions, newest first, and tell which is theirs", async () => {
    const [first, second] = [await signIn(server.client, [], "bob"), await signIn(server.client, [], "bob")];
    for (const bearerToken of [first.sessionToken, first.accessToken]) {
      const { sessions, currentSessionId } = await server.client.listSessions({ bearerToken });
      assert.deepEqual(new Set(sessions.map(({ id }) => id)), new Set([first.sessionId, second.sessionId]));
      assert.equal(currentSessionId, first.sessionId);
      assert.deepEqual(sessions[0]?.amr, ["pwd"]);
    }
    await server.client.revoke({ target: { case: "token", value: second.refreshToken } });
    const { sessions } = await server.client.listSessions({ bearerToken: first.sessionToken });
    assert.deepEqual(
      sessions.map(({ id }) => id),
      [first.sessionId],
    );
    for (const bearerToken of [second.sessionToken, first.refreshToken, "x"]) {
      await assert.rejects(server.client.listSessions({ bearerToken }), { code: Code.Unauthenticated });
    }
  });

  it("are revoked by whoever presents them, and once more without harm", async () => {
    const { accessToken } = await signIn(server.client);
    for (const value of [accessToken, accessToken, "nothing of ours", "a.b.c", "gtr_x"]) {
      await server.client.revoke({ target: { case: "token", value } });
    }
    await assert.rejects(authenticate(accessToken), { code: Code.Unauthenticated });
  });

  it("revoke nothing by a name, when there is no policy-service that would permit it", async () => {
    const { sessionId, accessToken } = await signIn(server.client);
    const headers = { authorization: `Bearer ${accessToken}` };
    for (const target of [
      { case: "sessionId", value: sessionId },
      { case: "user", value: "alice" },
      { case: "client", value: "reports" },
    ] as const) {
      await assert.rejects(server.client.revoke({ target }), { code: Code.Unauthenticated });
      await assert.rejects(server.client.revoke({ target }, { headers }), { code: Code.Unavailable });
    }
    assert.equal((await authenticate(accessToken)).principal?.id, "alice");
  });

  it("stand for a principal to Authorize too, before anybody is asked for a decision", async () => {
    const entity = { type: "Document", id: "handbook" };
    const authorize = (value: string) =>
      server.client.authorize({
        credential: { case: "bearerToken", value },
        action: { type: "Action", id: "view" },
        resource: entity,
      });
    await assert.rejects(authorize("a.b.c"), { code: Code.Unauthenticated });
    const { accessToken } = await signIn(server.client);
    await assert.rejects(authorize(accessToken), { code: Code.Unavailable }, "there is no policy-service here");
  });
});

describe("the configuration of tokens", () => {
  const logger = createLogger({ service: "test", level: "silent" });
  const dir = mkdtempSync(join(tmpdir(), "gatehouse-config-"));
  const key = Buffer.alloc(32, 7).toString("base64");
  after(() => rmSync(dir, { recursive: true }));

  const appOf = (env: Readonly<Record<string, string>>) =>
    createAuthApp(readConfig(authFields, { DATA_DIR: dir, AUTH_GRPC_PORT: "0", AUTH_HTTP_PORT: "0", ...env }), logger);

  it("without an issuer issues none, and says so, and does all else", async () => {
    const bare = await startAuthServer({ env: { AUTH_ISSUER: "", GATEHOUSE_PROFILE: "production" } });
    try {
      const wanted = bare.client.authenticate({
        credential: { case: "password", value: { username: "alice", password: "wonderland" } },
        issueTokens: true,
      });
      await assert.rejects(wanted, { code: Code.Unimplemented });
      assert.equal((await fetch(`${bare.url}/.well-known/jwks.json`)).status, 404);
      assert.equal((await bare.client.introspect({ token: "a.b.c" })).active, false);
      const presented = bare.client.authenticate({ credential: { case: "bearerToken", value: "a.b.c" } });
      await assert.rejects(presented, { code: Code.Unauthenticated });
    } finally {
      await bare.close();
    }
  });

  it("needs an encryption key with an issuer", () => {
    assert.throws(() => appOf({ AUTH_ISSUER: "https://auth.test" }), { name: "ConfigError" });
  });

  it("refuses encryption keys that are none, without repeating them, and issuers that are no origin", () => {
    for (const AUTH_ENCRYPTION_KEY of ["hunter2", `${key},hunter2`, key.slice(4), `${key}${key}`]) {
      assert.throws(
        () => appOf({ AUTH_ENCRYPTION_KEY }),
        (error: Error) => error.name === "ConfigError" && !error.message.includes(AUTH_ENCRYPTION_KEY),
      );
    }
    for (const AUTH_ISSUER of ["auth.test", "https://auth.test/", "https://auth.test/path", "ftp://auth.test"]) {
      assert.throws(() => appOf({ AUTH_ISSUER, GATEHOUSE_PROFILE: "demo" }), { name: "ConfigError" });
    }
  });

  it("of the demo makes an encryption key once, for its owner's eyes, and refuses to start with another", async () => {
    const start = async (env: Readonly<Record<string, string>> = {}): Promise<void> => {
      const app = appOf({ GATEHOUSE_PROFILE: "demo", ARGON2_MEMORY_KIB: "8192", ...env });
      try {
        await app.start();
      } finally {
        await app.stop();
      }
    };
    await start();
    const path = join(dir, "encryption.key");
    const made = readFileSync(path, "utf8");
    assert.equal(Buffer.from(made, "base64").length, 32);
    assert.equal(statSync(path).mode & 0o077, 0);
    await start();
    assert.equal(readFileSync(path, "utf8"), made);
    await assert.rejects(start({ AUTH_ENCRYPTION_KEY: key }), { name: "SecretBoxError" });
    await start({ AUTH_ENCRYPTION_KEY: `${key},${made.trim()}` });
  });
});
