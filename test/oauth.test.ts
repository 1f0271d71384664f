/** A stock client drives every flow of the OAuth edge. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createRemoteJWKSet, exportJWK, type GenerateKeyPairResult, generateKeyPair, jwtVerify } from "jose";
import * as oidc from "openid-client";
import { hashClientSecret, type OAuthClient } from "../src/auth/domain/clients.ts";
import { type AuthServer, signIn, startAuthServer } from "./support/auth-server.ts";

const accessTokenType = "urn:ietf:params:oauth:token-type:access_token";
const exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange";
const secret = "gcs_correct horse: battery+staple%";

const template: Omit<OAuthClient, "id"> = {
  name: "Reports",
  secretHashes: [hashClientSecret(secret)],
  jwks: [],
  grants: ["client_credentials", "refresh_token", "token_exchange"],
  scopes: ["read", "write"],
  audiences: ["billing", "https://shop.example/api"],
  roles: ["reporter"],
  attributes: { team: "finance" },
  disabled: false,
  createTime: 0,
};

/** The error that a flow ends with: its OAuth code and HTTP status. */
async function refusal(flow: Promise<unknown>): Promise<string> {
  try {
    await flow;
    return "accepted";
  } catch (error) {
    if (error instanceof oidc.ResponseBodyError) return `${error.status} ${error.error}`;
    if (error instanceof oidc.ClientError && error.cause instanceof Response) return String(error.cause.status);
    if (error instanceof oidc.WWWAuthenticateChallengeError) return `${error.status} challenge`;
    throw error;
  }
}

describe("a stock OAuth client", () => {
  let server: AuthServer;
  let keyPair: GenerateKeyPairResult;

  before(async () => {
    server = await startAuthServer({ env: { USER_SCOPES: "read write admin" } });
    keyPair = await generateKeyPair("ES256");
    const jwk = await exportJWK(keyPair.publicKey);
    for (const client of [
      { id: "reports" },
      { id: "signer", secretHashes: [], jwks: [{ ...jwk, kid: "k1", alg: "ES256" }] },
      { id: "app", secretHashes: [], grants: ["refresh_token", "client_credentials"] },
      { id: "other" },
      { id: "narrow", grants: [] },
      { id: "off", disabled: true },
    ] as const) {
      await server.stores.clients.create({ ...template, ...client } as OAuthClient);
    }
  });
  after(() => server.close());

  const discover = (id: string, authentication: oidc.ClientAuth, algorithm: "oauth2" | "oidc" = "oauth2") =>
    oidc.discovery(new URL(server.url), id, undefined, authentication, {
      execute: [oidc.allowInsecureRequests],
      algorithm,
    });
  const bySecret = (id = "reports") => discover(id, oidc.ClientSecretBasic(secret));
  const claimsOf = async (token: string, audience: string) =>
    await jwtVerify(token, createRemoteJWKSet(new URL(`${server.url}/.well-known/jwks.json`)), {
      issuer: server.url,
      audience,
      typ: "at+jwt",
      algorithms: ["ES256"],
    });
  const authenticate = (bearerToken: string) =>
    server.client.authenticate({ credential: { case: "bearerToken", value: bearerToken } });

  it("discovers the server by RFC 8414 and by OpenID Connect", async () => {
    for (const algorithm of ["oauth2", "oidc"] as const) {
      const metadata = (await discover("reports", oidc.ClientSecretBasic(secret), algorithm)).serverMetadata();
      assert.equal(metadata.issuer, server.url);
      assert.equal(metadata.token_endpoint, `${server.url}/oauth/token`);
      assert.deepEqual(metadata.grant_types_supported, ["client_credentials", "refresh_token", exchangeGrant]);
    }
  });

  for (const [name, authentication] of [
    ["client_secret_basic", () => oidc.ClientSecretBasic(secret)],
    ["client_secret_post", () => oidc.ClientSecretPost(secret)],
  ] as const) {
    it(`gets a token for itself with ${name}`, async () => {
      const config = await discover("reports", authentication());
      const tokens = await oidc.clientCredentialsGrant(config, { scope: "read" });
      assert.equal(tokens.token_type, "bearer");
      assert.equal(tokens.scope, "read");
      assert.ok(tokens.expires_in! > 890 && tokens.expires_in! <= 900);
      assert.equal(tokens.refresh_token, undefined);
      const { payload } = await claimsOf(tokens.access_token, "gatehouse");
      assert.equal(payload.sub, "reports");
      assert.equal(payload.client_id, "reports");
      const { principal } = await authenticate(tokens.access_token);
      assert.equal(principal?.type, "Client");
      assert.deepEqual(principal?.roles, ["reporter"]);
      assert.deepEqual(principal?.attributes, { team: "finance" });
    });
  }

  it("gets a token with private_key_jwt, and each assertion is good once", async () => {
    let assertion = "";
    const remember: oidc.ClientAuth = (as, client, body, headers) => {
      const result = oidc.PrivateKeyJwt({ key: keyPair.privateKey, kid: "k1" })(as, client, body, headers);
      return Promise.resolve(result).then(() => {
        assertion = body.get("client_assertion") ?? "";
      });
    };
    const tokens = await oidc.clientCredentialsGrant(await discover("signer", remember));
    assert.equal((await authenticate(tokens.access_token)).principal?.id, "signer");
    const replay: oidc.ClientAuth = (_as, _client, body) => {
      body.set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
      body.set("client_assertion", assertion);
    };
    const replaying = await discover("signer", replay);
    assert.match(await refusal(oidc.clientCredentialsGrant(replaying)), /^401/);
    const stranger = await generateKeyPair("ES256");
    const forged = await discover("signer", oidc.PrivateKeyJwt({ key: stranger.privateKey, kid: "k1" }));
    assert.match(await refusal(oidc.clientCredentialsGrant(forged)), /^401/);
    const elsewhere = oidc.PrivateKeyJwt(keyPair.privateKey, {
      [oidc.modifyAssertion]: (_header, payload) => {
        payload.aud = "https://elsewhere.example";
      },
    });
    assert.match(await refusal(oidc.clientCredentialsGrant(await discover("signer", elsewhere))), /^401/);
    const endless = oidc.PrivateKeyJwt(keyPair.privateKey, {
      [oidc.modifyAssertion]: (_header, payload) => {
        payload.exp = Number(payload.exp) + 3_600;
      },
    });
    assert.match(await refusal(oidc.clientCredentialsGrant(await discover("signer", endless))), /^401/);
  });

  it("gets a token for an audience of its own, which this service does not take for its own", async () => {
    const config = await bySecret();
    const { access_token: token } = await oidc.clientCredentialsGrant(config, { audience: "billing" });
    await claimsOf(token, "billing");
    await assert.rejects(authenticate(token), { code: 16 });
    const introspection = await oidc.tokenIntrospection(config, token);
    assert.equal(introspection.active, true);
    assert.equal(introspection.aud, "billing");
    const wanted = oidc.clientCredentialsGrant(config, { audience: "payroll" });
    assert.equal(await refusal(wanted), "400 invalid_target");
  });

  it("is refused what it may not have", async () => {
    const config = await bySecret();
    assert.equal(await refusal(oidc.clientCredentialsGrant(config, { scope: "admin" })), "400 invalid_scope");
    assert.equal(await refusal(oidc.clientCredentialsGrant(config, { scope: 'say "hi"' })), "400 invalid_scope");
    const narrow = await bySecret("narrow");
    assert.equal(await refusal(oidc.clientCredentialsGrant(narrow)), "400 unauthorized_client");
    const grant = oidc.genericGrantRequest(config, "password", { username: "alice", password: "wonderland" });
    assert.equal(await refusal(grant), "400 unsupported_grant_type");
    const publicly = await discover("app", oidc.None());
    assert.equal(await refusal(oidc.clientCredentialsGrant(publicly)), "400 unauthorized_client");
    for (const id of ["off", "nobody", "signer", "app"]) {
      assert.match(await refusal(oidc.clientCredentialsGrant(await bySecret(id))), /^401/, id);
    }
    const wrong = await discover("reports", oidc.ClientSecretPost(`${secret}x`));
    assert.match(await refusal(oidc.clientCredentialsGrant(wrong)), /^401/);
    const nameOnly = await discover("reports", oidc.None());
    assert.match(await refusal(oidc.clientCredentialsGrant(nameOnly)), /^401/);
  });

  it("refreshes a user's tokens, which are then its own", async () => {
    const { refreshToken } = await signIn(server.client, ["read", "write"]);
    const app = await discover("app", oidc.None());
    const first = await oidc.refreshTokenGrant(app, refreshToken, { scope: "read" });
    assert.equal(first.scope, "read");
    const { payload } = await claimsOf(first.access_token, "gatehouse");
    assert.equal(payload.client_id, "app");
    assert.equal(payload.sub, "alice");
    const second = await oidc.refreshTokenGrant(app, first.refresh_token!);
    assert.equal(second.scope, "read write", "a narrower token does not narrow the family");
    const widened = oidc.refreshTokenGrant(app, second.refresh_token!, { scope: "read admin" });
    assert.equal(await refusal(widened), "400 invalid_scope");
    const other = await bySecret("other");
    assert.equal(await refusal(oidc.refreshTokenGrant(other, second.refresh_token!)), "400 invalid_grant");
    await assert.rejects(server.client.refresh({ refreshToken: second.refresh_token! }), { code: 16 });
    assert.equal((await authenticate(second.access_token)).principal?.id, "alice", "none of that did any harm");
    assert.ok((await oidc.refreshTokenGrant(app, second.refresh_token!)).access_token);
  });

  it("refreshes to no more than it may have itself", async () => {
    const { refreshToken } = await signIn(server.client, ["read", "admin"]);
    const config = await bySecret();
    assert.equal(await refusal(oidc.refreshTokenGrant(config, refreshToken, { scope: "admin" })), "400 invalid_scope");
    assert.equal((await oidc.refreshTokenGrant(config, refreshToken)).scope, "read");
  });

  it("exchanges a user's token for one that is no stronger", async () => {
    const { accessToken, sessionToken, sessionId } = await signIn(server.client, ["read", "admin"]);
    const config = await bySecret();
    const exchange = (subject: string, more: Record<string, string> = {}) =>
      oidc.genericGrantRequest(config, exchangeGrant, {
        subject_token: subject,
        subject_token_type: accessTokenType,
        ...more,
      });
    const tokens = await exchange(accessToken, { audience: "billing" });
    assert.equal(tokens.issued_token_type, accessTokenType);
    assert.equal(tokens.scope, "read", "what both the user's token and the client may have");
    const { payload } = await claimsOf(tokens.access_token, "billing");
    assert.equal(payload.sub, "alice");
    assert.equal(payload.client_id, "reports");
    assert.equal(payload.sid, sessionId);
    assert.equal((await exchange(sessionToken)).scope, "read write");
    assert.equal(await refusal(exchange(accessToken, { scope: "write" })), "400 invalid_scope");
    assert.equal(await refusal(exchange(`${accessToken}x`)), "400 invalid_request");
    assert.equal(await refusal(exchange(tokens.access_token)), "400 invalid_request", "it is meant for billing");
    assert.equal(await refusal(exchange(accessToken, { audience: "payroll" })), "400 invalid_target");
    assert.equal(await refusal(exchange(accessToken, { actor_token: accessToken })), "400 invalid_request");
    const jwt = { subject_token_type: "urn:ietf:params:oauth:token-type:jwt" };
    assert.equal(await refusal(exchange(accessToken, jwt)), "400 invalid_request", "no other issuer is configured");
    await oidc.tokenRevocation(config, sessionToken);
    assert.equal((await oidc.tokenIntrospection(config, tokens.access_token)).active, false);
  });

  it("introspects tokens of each kind, and only with a proof of who it is", async () => {
    const { accessToken, refreshToken, sessionToken, sessionId } = await signIn(server.client, ["read"]);
    const config = await bySecret();
    const common = { active: true, sub: "alice", username: "alice", sid: sessionId, iss: server.url };
    for (const [token, use] of [
      [accessToken, { token_use: "access_token", scope: "read", aud: "gatehouse", token_type: "Bearer" }],
      [refreshToken, { token_use: "refresh_token", scope: "read" }],
      [sessionToken, { token_use: "session", token_type: "Bearer" }],
    ] as const) {
      const answer = await oidc.tokenIntrospection(config, token);
      assert.deepEqual({ ...answer, ...common, ...use }, answer);
      assert.ok(Number(answer.exp) * 1_000 > Date.now() && Number(answer.iat) * 1_000 <= Date.now());
    }
    assert.deepEqual(await oidc.tokenIntrospection(config, "nothing of ours"), { active: false });
    const publicly = await discover("app", oidc.None());
    assert.match(await refusal(oidc.tokenIntrospection(publicly, accessToken)), /^401/);
  });

  it("revokes its own tokens, and not another's", async () => {
    const [config, other] = [await bySecret(), await bySecret("other")];
    const { access_token: token } = await oidc.clientCredentialsGrant(config);
    assert.equal(await refusal(oidc.tokenRevocation(other, token)), "400 unauthorized_client");
    assert.equal((await oidc.tokenIntrospection(config, token)).active, true);
    await oidc.tokenRevocation(config, token);
    assert.equal((await oidc.tokenIntrospection(config, token)).active, false);
    await oidc.tokenRevocation(config, token);
    await oidc.tokenRevocation(config, "nothing of ours");
  });

  it("is a principal by its secret alone, which brings it tokens as well", async () => {
    const byCredential = (clientId: string, clientSecret: string) =>
      server.client.authenticate({
        credential: { case: "client", value: { clientId, clientSecret } },
        issueTokens: true,
        scopes: ["read"],
      });
    const { principal, session, tokens } = await byCredential("reports", secret);
    assert.deepEqual([principal?.type, principal?.id, principal?.roles], ["Client", "reports", ["reporter"]]);
    assert.equal(session, undefined);
    assert.equal(tokens?.refreshToken, "");
    const { active, clientId, scopes } = await server.client.introspect({ token: tokens?.accessToken ?? "" });
    assert.deepEqual([active, clientId, scopes], [true, "reports", ["read"]]);
    for (const [id, guess] of [
      ["reports", "wrong"],
      ["nobody", secret],
      ["off", secret],
      ["app", "x"],
      ["signer", "x"],
    ] as const) {
      await assert.rejects(byCredential(id, guess), { code: 16 });
    }
  });

  it("has no good tokens left once it is disabled", async () => {
    await server.stores.clients.create({ ...template, id: "leaver" });
    const { access_token: own } = await oidc.clientCredentialsGrant(await bySecret("leaver"));
    const { refreshToken, accessToken } = await signIn(server.client);
    const { access_token: users, refresh_token: next } = await oidc.refreshTokenGrant(
      await bySecret("leaver"),
      refreshToken,
    );
    const { access_token: others } = await oidc.clientCredentialsGrant(await bySecret("other"));
    const { access_token: delegated } = await oidc.genericGrantRequest(await bySecret("leaver"), exchangeGrant, {
      subject_token: others,
      subject_token_type: accessTokenType,
    });
    assert.equal((await authenticate(delegated)).principal?.id, "other");
    await server.stores.clients.update("leaver", { disabled: true });
    for (const token of [own, users, delegated]) await assert.rejects(authenticate(token), { code: 16 });
    assert.match(await refusal(oidc.refreshTokenGrant(await bySecret("leaver"), next!)), /^401/);
    assert.equal((await authenticate(accessToken)).principal?.id, "alice");
  });
});
