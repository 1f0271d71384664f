/** The OAuth edge, byte by byte: what a stock client would never send, and what it never shows. */
import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { after, before, describe, it } from "node:test";
import { hashClientSecret, type OAuthClient } from "../src/auth/domain/clients.ts";
import { type AuthServer, signIn, startAuthServer } from "./support/auth-server.ts";
import { startRedisServer } from "./support/redis-server.ts";

const secret = "gcs_secret";
const reports: OAuthClient = {
  id: "reports",
  name: "Reports",
  secretHashes: [hashClientSecret("gcs_former"), hashClientSecret(secret)],
  jwks: [],
  grants: ["client_credentials", "refresh_token", "token_exchange"],
  scopes: ["read"],
  audiences: [],
  roles: [],
  attributes: {},
  disabled: false,
  createTime: 0,
};
const form = "application/x-www-form-urlencoded";
const basic = (text: string): string => `Basic ${Buffer.from(text).toString("base64")}`;
const client = { client_id: "reports", client_secret: secret };

describe("the OAuth edge", () => {
  let server: AuthServer;

  before(async () => {
    server = await startAuthServer();
    await server.stores.clients.create(reports);
    await server.stores.clients.create({ ...reports, id: "public", secretHashes: [] });
  });
  after(() => server.close());

  async function post(path: string, body: string | Record<string, string>, headers: Record<string, string> = {}) {
    const response = await fetch(server.url + path, {
      method: "POST",
      headers: { "content-type": form, ...headers },
      body: typeof body === "string" ? body : new URLSearchParams(body),
    });
    const text = await response.text();
    const json = (text === "" ? {} : JSON.parse(text)) as Record<string, unknown>;
    return { status: response.status, headers: response.headers, text, json };
  }

  async function refusal(body: string | Record<string, string>, headers?: Record<string, string>): Promise<string> {
    const { status, json, headers: answered } = await post("/oauth/token", body, headers);
    assert.equal(answered.get("cache-control"), "no-store");
    assert.equal(answered.get("content-type"), "application/json; charset=utf-8");
    assert.equal(typeof json.error_description, "string");
    return `${status} ${json.error}`;
  }

  it("answers tokens that nobody may cache", async () => {
    for (const password of [secret, "gcs_former"]) {
      const body = { grant_type: "client_credentials", client_id: "reports", client_secret: password };
      const { status, headers, json } = await post("/oauth/token", body);
      assert.equal(status, 200);
      assert.equal(headers.get("cache-control"), "no-store");
      assert.equal(headers.get("pragma"), "no-cache");
      assert.deepEqual(Object.keys(json), ["access_token", "token_type", "expires_in", "scope"]);
      assert.equal(json.token_type, "Bearer");
    }
  });

  it("answers keys and metadata that may be cached, and 304 to those who have them", async () => {
    for (const path of ["jwks.json", "oauth-authorization-server", "openid-configuration"]) {
      const response = await fetch(`${server.url}/.well-known/${path}`);
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("cache-control"), "public, max-age=300");
      const etag = response.headers.get("etag") ?? "";
      const again = await fetch(`${server.url}/.well-known/${path}`, { headers: { "if-none-match": etag } });
      assert.equal(again.status, 304);
      assert.equal(await again.text(), "");
    }
    const { keys } = (await (await fetch(`${server.url}/.well-known/jwks.json`)).json()) as { keys: object[] };
    assert.equal(keys.length, 1);
    assert.deepEqual(Object.keys(keys[0] ?? {}).sort(), ["alg", "crv", "kid", "kty", "use", "x", "y"]);
  });

  it("refuses a request that is malformed", async () => {
    const good = { ...client, grant_type: "client_credentials" };
    assert.equal(await refusal(client), "400 invalid_request");
    assert.equal(await refusal({ ...client, grant_type: "" }), "400 invalid_request");
    assert.equal(await refusal(`${new URLSearchParams(good)}&grant_type=client_credentials`), "400 invalid_request");
    assert.equal(await refusal(`${new URLSearchParams(good)}&client_id=reports`), "400 invalid_request");
    assert.equal(await refusal(JSON.stringify(good), { "content-type": "application/json" }), "415 invalid_request");
    assert.equal(await refusal({ ...good, padding: "x".repeat(50_000) }), "413 invalid_request");
    assert.equal(await refusal({ ...client, grant_type: "refresh_token" }), "400 invalid_request");
    assert.equal(
      await refusal({ ...good, scope: Array.from({ length: 65 }, (_, n) => `s${n}`).join(" ") }),
      "400 invalid_scope",
    );
    for (const grant of ["__proto__", "constructor", "toString", "authorization_code", "password"]) {
      assert.equal(await refusal({ ...client, grant_type: grant }), "400 unsupported_grant_type");
    }
    for (const method of ["GET", "PUT"]) {
      const response = await fetch(`${server.url}/oauth/token`, { method });
      assert.equal(response.status, 405);
      assert.equal(response.headers.get("allow"), "POST");
    }
  });

  it("refuses a client that is not who it says, in whatever way, and with a challenge", async () => {
    const grant = { grant_type: "client_credentials" };
    for (const authorization of [
      basic("reports:wrong"),
      basic(`nobody:${secret}`),
      basic(`Reports:${secret}`),
      basic("reports:"),
      basic("public:"),
      basic("nobody:"),
      basic("reports"),
      basic(`:${secret}`),
      basic(`reports:%zz`),
      `Basic ${"!".repeat(10)}`,
      `Bearer ${secret}`,
      "Basic",
    ]) {
      assert.equal(await refusal(grant, { authorization }), "401 invalid_client", authorization);
    }
    const { headers } = await post("/oauth/token", grant, { authorization: basic("reports:wrong") });
    assert.match(headers.get("www-authenticate") ?? "", /^Basic realm="gatehouse"/);
    for (const body of [
      {},
      { client_id: "reports" },
      { client_id: "reports", client_secret: "" },
      { client_secret: secret },
      { client_id: "reports", client_assertion: "a.b.c" },
      {
        client_id: "reports",
        client_assertion: "a.b.c",
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      },
    ]) {
      assert.equal(await refusal({ ...grant, ...body }), "401 invalid_client");
    }
    const authorization = basic(`reports:${secret}`);
    assert.equal(await refusal({ ...grant, ...client }, { authorization }), "400 invalid_request", "in two ways");
    assert.equal(await refusal({ ...grant, client_id: "other" }, { authorization }), "401 invalid_client");
  });

  it("says the same of every refused client and token, and repeats nothing of them", async () => {
    const wrong = await post("/oauth/token", {
      ...client,
      client_secret: "my-secret",
      grant_type: "client_credentials",
    });
    const unknown = await post("/oauth/token", { ...client, client_id: "my-client", grant_type: "client_credentials" });
    assert.equal(wrong.text, unknown.text);
    const refresh = await post("/oauth/token", { ...client, grant_type: "refresh_token", refresh_token: "my-token" });
    assert.equal(`${refresh.status} ${refresh.json.error}`, "400 invalid_grant");
    for (const { text } of [wrong, unknown, refresh]) assert.ok(!text.includes("my-"));
  });

  it("asks for the client at each endpoint before it looks at a token", async () => {
    const { accessToken } = await signIn(server.client);
    for (const path of ["/oauth/introspect", "/oauth/revoke", "/oauth/token"]) {
      const { status, json } = await post(path, { token: accessToken });
      assert.equal(`${status} ${json.error}`, "401 invalid_client");
    }
    assert.equal((await post("/oauth/introspect", client)).status, 400);
    const { json } = await post("/oauth/introspect", { ...client, token: accessToken });
    assert.equal(json.active, true);
    const revoked = await post("/oauth/revoke", { ...client, token: accessToken, token_type_hint: "nonsense" });
    assert.deepEqual([revoked.status, revoked.text], [200, ""]);
    assert.deepEqual((await post("/oauth/introspect", { ...client, token: accessToken })).json, { active: false });
  });

  it("gives up on a body that does not end", async () => {
    const answer = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { "content-type": form, "content-length": "1000" };
      const request = httpRequest(`${server.url}/oauth/token`, { method: "POST", headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      request.on("error", reject);
      request.write("grant_type=");
    });
    assert.equal(answer, 408);
  });
});

it("answers 503 when the store is away, and that it is not the token's fault", async () => {
  const redis = await startRedisServer();
  const server = await startAuthServer({ env: { REDIS_URL: redis.url } });
  try {
    await server.stores.clients.create(reports);
    await redis.kill();
    const body = new URLSearchParams({ ...client, grant_type: "client_credentials" });
    const response = await fetch(`${server.url}/oauth/token`, { method: "POST", body });
    assert.equal(response.status, 503);
    assert.equal(response.headers.get("retry-after"), "1");
    assert.equal(((await response.json()) as { error: string }).error, "temporarily_unavailable");
    assert.equal((await fetch(`${server.url}/.well-known/jwks.json`)).status, 200, "keys in memory are served");
  } finally {
    await server.close();
    await redis.stop();
  }
});
