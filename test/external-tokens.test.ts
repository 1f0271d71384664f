/** Tokens of other issuers, which are real servers on sockets that come, go and misbehave. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { exportSPKI, SignJWT } from "jose";
import * as oidc from "openid-client";
import { ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { hashClientSecret } from "../src/auth/domain/clients.ts";
import { type AuthServer, startAuthServer } from "./support/auth-server.ts";
import { startIssuer, type TestIssuer } from "./support/issuer.ts";
import { until } from "./support/until.ts";

const directory = mkdtempSync(join(tmpdir(), "gatehouse-issuers-"));
after(() => rmSync(directory, { recursive: true }));

let files = 0;
async function serverWith(issuers: readonly object[]): Promise<AuthServer> {
  files += 1;
  const path = join(directory, `issuers-${files}.yaml`);
  writeFileSync(path, JSON.stringify({ version: 1, issuers }));
  // A machine that is busy with other tests is no reason to shed calls.
  const patience = { OVERLOAD_TARGET_DELAY: "5s", OVERLOAD_INTERVAL: "10s" };
  return await startAuthServer({ env: { AUTH_ISSUERS: path, USER_SCOPES: "read write", ...patience } });
}

const people = { type: "User", id: { claim: "sub", prefix: "corp:" } } as const;

function authenticate(server: AuthServer, token: string, issueTokens = false) {
  return server.client.authenticate({ credential: { case: "externalToken", value: token }, issueTokens });
}

/** The code and the reason of a refusal, and whether it says when to come back. */
async function refusal(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => ConnectError.from(thrown),
  );
  if (error === undefined) return "accepted";
  const retry = error.findDetails(RetryInfoSchema).length > 0 ? " with RetryInfo" : "";
  return `${Code[error.code]} ${error.findDetails(ErrorInfoSchema)[0]?.reason}${retry}`;
}

const notValid = "Unauthenticated CREDENTIAL_NOT_VALID";
const unavailable = "Unavailable ISSUER_UNAVAILABLE with RetryInfo";

describe("a token of a configured issuer", () => {
  let issuer: TestIssuer;
  let server: AuthServer;

  before(async () => {
    issuer = await startIssuer();
    await issuer.addKey("k1");
    await issuer.addKey("p256", "ES256");
    server = await serverWith([
      {
        issuer: issuer.url,
        audience: ["gatehouse", "https://gatehouse.example"],
        algorithms: ["RS256", "ES256"],
        clockSkew: "30s",
        principal: {
          ...people,
          roles: { claim: ["realm", "groups"], prefix: "corp-", names: { admins: "gatehouse-admin" } },
          attributes: { email: "email", tenant: "https://corp.example/tenant", nothing: "absent" },
          amr: "amr",
        },
      },
    ]);
  });
  after(async () => {
    await server.close();
    await issuer.goDown();
  });

  it("makes the principal that its claims are mapped to", async () => {
    const token = await issuer.sign({
      email: "carol@corp.example",
      "https://corp.example/tenant": 7,
      realm: { groups: ["docs", "admins", "gatehouse-viewer", 4] },
      amr: ["pwd", "mfa", "<b>"],
      aud: ["elsewhere", "https://gatehouse.example"],
    });
    const { principal, session, expireTime } = await authenticate(server, token);
    assert.deepEqual([principal?.type, principal?.id], ["User", "corp:carol"]);
    assert.deepEqual(principal?.roles, ["corp-docs", "gatehouse-admin", "corp-gatehouse-viewer"]);
    assert.deepEqual(principal?.attributes, { email: "carol@corp.example", tenant: 7 });
    assert.equal(session, undefined);
    assert.ok(Number(expireTime?.seconds) > Date.now() / 1_000 + 200);
    const byOtherKey = await issuer.sign({}, { key: issuer.keys.get("p256")! });
    assert.equal((await authenticate(server, byOtherKey)).principal?.id, "corp:carol");
  });

  it("is refused when anything of it is wrong", async () => {
    const now = Math.floor(Date.now() / 1_000);
    const stranger = await startIssuer();
    const strange = await stranger.addKey("k1");
    await stranger.goDown();
    const publicPem = await exportSPKI(issuer.keys.get("k1")!.pair.publicKey);
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
    const body = encode({ iss: issuer.url, aud: "gatehouse", sub: "carol", iat: now, exp: now + 300 });
    const confused = `${encode({ alg: "HS256", kid: "k1" })}.${body}`;
    const good = await issuer.sign();
    const [header = "", payload = "", signature = ""] = good.split(".");
    const noAudience = issuer.sign({ aud: undefined });
    const cases: Readonly<Record<string, string | Promise<string>>> = {
      "another issuer": issuer.sign({ iss: "https://elsewhere.example" }),
      "an issuer that is almost the one": issuer.sign({ iss: `${issuer.url}/` }),
      "no issuer": issuer.sign({ iss: undefined }),
      "another audience": issuer.sign({ aud: "elsewhere" }),
      "no audience": noAudience,
      "an empty audience": issuer.sign({ aud: [] }),
      expired: issuer.sign({ exp: now - 40 }),
      "no expiry": issuer.sign({ exp: undefined }),
      "not valid yet": issuer.sign({ nbf: now + 100 }),
      "issued in the future": issuer.sign({ iat: now + 100 }),
      "no time of issue": issuer.sign({ iat: undefined }),
      "too old": issuer.sign({ iat: now - 86_500 }),
      "no subject": issuer.sign({ sub: undefined }),
      "an empty subject": issuer.sign({ sub: "" }),
      "a subject with control characters": issuer.sign({ sub: "carol\u202e" }),
      "a key of somebody else": issuer.sign({}, { key: strange }),
      "an algorithm that the key is not for": issuer.sign(
        {},
        { key: { ...issuer.keys.get("k1")!, algorithm: "PS256" } },
      ),
      "an unknown key": issuer.sign({}, { header: { kid: "../../dev/null" } }),
      "an unknown critical extension": new SignJWT({
        iss: issuer.url,
        aud: "gatehouse",
        sub: "carol",
        iat: now,
        exp: now + 300,
      })
        .setProtectedHeader({ alg: "RS256", kid: "k1", crit: ["x"], x: 1 })
        .sign(issuer.keys.get("k1")!.pair.privateKey, { crit: { x: true } }),
      "no signature": `${encode({ alg: "none" })}.${body}.`,
      "no signature, but a text in its place": `${encode({ alg: "none" })}.${body}.eA`,
      "the public key as a secret": `${confused}.${createHmac("sha256", publicPem).update(confused).digest("base64url")}`,
      "a key that it brings itself": (async () => {
        const { publicJwk, pair } = strange;
        return await new SignJWT({ iss: issuer.url, aud: "gatehouse", sub: "carol", iat: now, exp: now + 300 })
          .setProtectedHeader({ alg: "RS256", kid: "k1", jwk: publicJwk })
          .sign(pair.privateKey);
      })(),
      "changed claims": `${header}.${encode({ iss: issuer.url, aud: "gatehouse", sub: "root", iat: now, exp: now + 300 })}.${signature}`,
      "a cut signature": `${header}.${payload}.${signature.slice(0, -8)}`,
      "no JWT": "not a token",
      "too many roles": issuer.sign({ realm: { groups: Array.from({ length: 65 }, (_, n) => `g${n}`) } }),
      "too large attributes": issuer.sign({ email: "x".repeat(5_000) }),
    };
    for (const [name, token] of Object.entries(cases)) {
      const text = await token;
      assert.equal(await refusal(authenticate(server, text)), notValid, name);
      assert.equal(await refusal(authenticate(server, text)), notValid, `${name}, again`);
    }
    assert.equal((await authenticate(server, good)).principal?.id, "corp:carol");
    assert.equal(
      (await authenticate(server, await issuer.sign({ nbf: now + 15, exp: now - 5 }))).principal?.id,
      "corp:carol",
    );
  });

  it("is good for a day at most, whatever it says", async () => {
    const now = Math.floor(Date.now() / 1_000);
    const { expireTime } = await authenticate(server, await issuer.sign({ iat: now - 80_000, exp: now + 1e9 }));
    assert.equal(Number(expireTime?.seconds), now - 80_000 + 86_400);
  });

  it("is no bearer token, and a token of this service is no external one", async () => {
    const token = await issuer.sign();
    const asBearer = server.client.authenticate({ credential: { case: "bearerToken", value: token } });
    assert.equal(await refusal(asBearer), notValid);
    const { tokens } = await server.client.authenticate({
      credential: { case: "password", value: { username: "alice", password: "wonderland" } },
      issueTokens: true,
    });
    assert.equal(await refusal(authenticate(server, tokens?.accessToken ?? "")), notValid);
  });

  it("brings a token of this service that says the same, for no longer", async () => {
    const exp = Math.floor(Date.now() / 1_000) + 100;
    const external = await issuer.sign({ exp, email: "carol@corp.example", realm: { groups: ["docs"] } });
    const { tokens } = await authenticate(server, external, true);
    assert.equal(tokens?.refreshToken, "");
    assert.equal(Number(tokens?.expireTime?.seconds), exp);
    const { principal } = await server.client.authenticate({
      credential: { case: "bearerToken", value: tokens?.accessToken ?? "" },
    });
    assert.deepEqual([principal?.type, principal?.id, principal?.roles], ["User", "corp:carol", ["corp-docs"]]);
    assert.deepEqual(principal?.attributes, { email: "carol@corp.example" });
  });

  it("is refused when its user is disabled here or revoked", async () => {
    const token = await issuer.sign({ sub: "Dave" });
    const { tokens } = await authenticate(server, token, true);
    const own = { case: "bearerToken", value: tokens?.accessToken ?? "" } as const;
    await server.stores.identities.createUser({
      name: "corp:dave",
      roles: [],
      attributes: {},
      passwordHash: undefined,
      disabled: true,
      createTime: 0,
    });
    assert.equal(await refusal(authenticate(server, token)), notValid);
    assert.equal(await refusal(server.client.authenticate({ credential: own })), notValid);
    await server.stores.identities.deleteUser("corp:dave");
    assert.equal(await refusal(authenticate(server, token)), "accepted");
    await server.stores.revocations.revokeSubject("user", "corp:dave", Date.now(), Date.now() + 600_000);
    assert.equal(await refusal(authenticate(server, token)), notValid);
    assert.equal(await refusal(server.client.authenticate({ credential: own })), notValid);
  });

  it("is exchanged by a stock OAuth client (RFC 8693)", async () => {
    await server.stores.clients.create({
      id: "gateway",
      name: "Gateway",
      secretHashes: [hashClientSecret("s3cret")],
      jwks: [],
      grants: ["token_exchange"],
      scopes: ["read"],
      audiences: ["billing"],
      roles: [],
      attributes: {},
      disabled: false,
      createTime: 0,
    });
    const config = await oidc.discovery(new URL(server.url), "gateway", undefined, oidc.ClientSecretBasic("s3cret"), {
      execute: [oidc.allowInsecureRequests],
      algorithm: "oauth2",
    });
    const exchange = (token: string, more: Record<string, string> = {}) =>
      oidc.genericGrantRequest(config, "urn:ietf:params:oauth:grant-type:token-exchange", {
        subject_token: token,
        subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
        ...more,
      });
    const exp = Math.floor(Date.now() / 1_000) + 100;
    const tokens = await exchange(await issuer.sign({ exp, realm: { groups: ["docs"] } }));
    assert.equal(tokens.issued_token_type, "urn:ietf:params:oauth:token-type:access_token");
    assert.equal(tokens.scope, "read");
    assert.ok(tokens.expires_in! <= 100);
    const { principal } = await server.client.authenticate({
      credential: { case: "bearerToken", value: tokens.access_token },
    });
    assert.deepEqual([principal?.id, principal?.roles], ["corp:carol", ["corp-docs"]]);
    const introspection = await oidc.tokenIntrospection(config, tokens.access_token);
    assert.deepEqual(
      [introspection.active, introspection.sub, introspection.client_id, introspection.exp],
      [true, "corp:carol", "gateway", exp],
    );
    const again = await oidc.genericGrantRequest(config, "urn:ietf:params:oauth:grant-type:token-exchange", {
      subject_token: tokens.access_token,
      subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
      audience: "billing",
    });
    const billed = await oidc.tokenIntrospection(config, again.access_token);
    assert.deepEqual([billed.active, billed.aud, billed.sub], [true, "billing", "corp:carol"]);
    for (const token of [await issuer.sign({ aud: "elsewhere" }), await issuer.sign({ exp: exp - 200 })]) {
      await assert.rejects(exchange(token), { error: "invalid_request", status: 400 });
    }
    await assert.rejects(exchange(await issuer.sign(), { audience: "payroll" }), { error: "invalid_target" });
  });
});

describe("the keys of an issuer", () => {
  const times = { cooldown: "1s", refresh: "1d", timeout: "500ms" };

  async function withIssuer(
    work: (issuer: TestIssuer, start: (keys?: object) => Promise<AuthServer>) => Promise<void>,
  ): Promise<void> {
    const issuer = await startIssuer();
    await issuer.addKey("k1", "ES256");
    const servers: AuthServer[] = [];
    try {
      await work(issuer, async (keys = {}) => {
        const entry = {
          issuer: issuer.url,
          audience: "gatehouse",
          algorithms: ["ES256"],
          principal: people,
          keys: { ...times, ...keys },
        };
        const server = await serverWith([entry]);
        servers.push(server);
        return server;
      });
    } finally {
      for (const server of servers) await server.close();
      await issuer.goDown();
    }
  }

  it("are fetched once for however many unknown ones, and a new one is found at once", async () => {
    await withIssuer(async (issuer, start) => {
      const server = await start({ cooldown: "1h" });
      assert.equal(await refusal(authenticate(server, await issuer.sign())), "accepted");
      assert.equal(issuer.fetches, 1);
      const next = await issuer.addKey("k2", "ES256");
      assert.equal(await refusal(authenticate(server, await issuer.sign({}, { key: next }))), "accepted");
      assert.equal(issuer.fetches, 2);
      const flood = await Promise.all(
        Array.from({ length: 200 }, (_, index) => issuer.sign({}, { header: { kid: `unknown-${index}` } })),
      );
      const refusals: string[] = [];
      // Several at once, but not so many that the server sheds them.
      while (flood.length > 0) {
        const some = flood.splice(0, 10).map((token) => refusal(authenticate(server, token)));
        refusals.push(...(await Promise.all(some)));
      }
      assert.deepEqual([...new Set(refusals)], [notValid]);
      assert.equal(issuer.fetches, 2);
    });
  });

  it("that are gone are not good any more after the next refresh", async () => {
    await withIssuer(async (issuer, start) => {
      const server = await start({ refresh: "1s" });
      const token = await issuer.sign();
      assert.equal(await refusal(authenticate(server, token)), "accepted");
      await issuer.addKey("k2", "ES256");
      issuer.keys.delete("k1");
      await until("that is so", async () => (await refusal(authenticate(server, token))) === notValid);
      assert.equal(await refusal(authenticate(server, await issuer.sign())), "accepted");
    });
  });

  it("that were never fetched are no reason to call a token wrong", async () => {
    await withIssuer(async (issuer, start) => {
      const token = await issuer.sign();
      await issuer.goDown();
      const server = await start();
      assert.equal(await refusal(authenticate(server, token)), unavailable);
      await issuer.comeBack();
      await until("that is so", async () => (await refusal(authenticate(server, token))) === "accepted");
    });
  });

  it("stay good while the issuer is down, and what they do not know is not told apart", async () => {
    await withIssuer(async (issuer, start) => {
      const server = await start();
      assert.equal(await refusal(authenticate(server, await issuer.sign())), "accepted");
      await issuer.goDown();
      assert.equal(await refusal(authenticate(server, await issuer.sign({ sub: "dave" }))), "accepted");
      const next = await issuer.addKey("k2", "ES256");
      const unknown = await issuer.sign({}, { key: next });
      assert.equal(await refusal(authenticate(server, unknown)), unavailable);
      assert.equal(await refusal(authenticate(server, await issuer.sign({ aud: "elsewhere" }))), notValid);
      await issuer.comeBack();
      await until("that is so", async () => (await refusal(authenticate(server, unknown))) === "accepted");
    });
  });

  it("are not good for ever without their issuer", async () => {
    await withIssuer(async (issuer, start) => {
      const server = await start({ refresh: "1s", maxAge: "2s" });
      const token = await issuer.sign();
      assert.equal(await refusal(authenticate(server, token)), "accepted");
      await issuer.goDown();
      await until("that is so", async () => (await refusal(authenticate(server, token))) === unavailable);
    });
  });

  const answers: Readonly<Record<string, (issuer: TestIssuer) => void>> = {
    "more than may be read": (issuer) => {
      const own = { keys: [...issuer.keys.values()].map(({ publicJwk }) => publicJwk), padding: "x".repeat(300_000) };
      issuer.onKeys = (_, response) => response.end(JSON.stringify(own));
    },
    "too many keys": (issuer) => {
      const [key] = issuer.keys.values();
      const keys = Array.from({ length: 201 }, () => key?.publicJwk);
      issuer.onKeys = (_, response) => response.end(JSON.stringify({ keys }));
    },
    "no JSON": (issuer) => {
      issuer.onKeys = (_, response) => response.end("<html>");
    },
    "no JWK set": (issuer) => {
      issuer.onKeys = (_, response) => response.end("[]");
    },
    "an error": (issuer) => {
      issuer.onKeys = (_, response) => response.writeHead(500).end(JSON.stringify({ keys: [] }));
    },
    "a redirect": (issuer) => {
      issuer.onKeys = (request, response) => {
        if (request.url === "/elsewhere") response.end(JSON.stringify({ keys: [...issuer.keys.values()] }));
        else response.writeHead(302, { location: "/elsewhere" }).end();
      };
    },
    nothing: (issuer) => {
      issuer.onKeys = () => undefined;
    },
    "half of it": (issuer) => {
      issuer.onKeys = (_, response) => void response.write('{"keys":[');
    },
    "half of it, and hangs up": (issuer) => {
      issuer.onKeys = (_, response) => {
        response.write('{"keys":[');
        setTimeout(() => response.destroy(), 20);
      };
    },
    "the discovery document of another issuer": (issuer) => {
      issuer.discovery = { ...issuer.discovery, issuer: "https://elsewhere.example" };
    },
    "keys at a place without TLS": (issuer) => {
      issuer.discovery = { ...issuer.discovery, jwks_uri: "http://192.0.2.1/keys" };
    },
    "no place of its keys": (issuer) => {
      issuer.discovery = { issuer: issuer.url };
    },
  };
  for (const [name, misbehave] of Object.entries(answers)) {
    it(`are not taken from an issuer that answers ${name}`, async () => {
      await withIssuer(async (issuer, start) => {
        misbehave(issuer);
        const server = await start();
        assert.equal(await refusal(authenticate(server, await issuer.sign())), unavailable);
      });
    });
  }

  it("that are no public keys for signatures are passed over", async () => {
    await withIssuer(async (issuer, start) => {
      const good = await issuer.addKey("good", "ES256");
      const bad = await issuer.addKey("bad", "ES256");
      const { publicJwk } = bad;
      const variants = [
        { ...publicJwk, kid: "enc", use: "enc" },
        { ...publicJwk, kid: "ops", key_ops: ["sign"] },
        { ...publicJwk, kid: "private", d: "AAAA" },
        { ...publicJwk, kid: "other-algorithm", alg: "ES384" },
        { ...publicJwk, kid: "broken", x: "AA" },
        { ...publicJwk, kid: "twice" },
        { ...good.publicJwk, kid: "twice" },
        { kty: "oct", kid: "secret", k: "c2VjcmV0" },
      ];
      const keys = [good.publicJwk, ...variants, null, 7];
      issuer.onKeys = (_, response) => response.end(JSON.stringify({ keys }));
      const server = await start();
      assert.equal(await refusal(authenticate(server, await issuer.sign({}, { key: good }))), "accepted");
      for (const { kid } of variants) {
        const token = await issuer.sign({}, { key: bad, header: { kid } });
        assert.equal(await refusal(authenticate(server, token)), notValid, kid);
      }
    });
  });
});
