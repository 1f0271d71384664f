import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { CompactSign, exportJWK, exportSPKI } from "jose";
import type { KeyPair } from "../src/auth/domain/tokens/key-pair.ts";
import { newTokenId } from "../src/auth/domain/tokens/token-id.ts";
import { type AuthServer, signIn, startAuthServer } from "./support/auth-server.ts";

const minute = 60_000;
const json = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** What is wrong with a token, beside a good one: changes of its header and its claims, and who signs it. */
interface Forgery {
  readonly header?: Record<string, unknown>;
  readonly claims?: Record<string, unknown>;
}

describe("forged access tokens", () => {
  let server: AuthServer;
  let key: KeyPair;
  let good: string;
  let sessionId: string;
  let now = 1_800_000_000_000;

  before(async () => {
    server = await startAuthServer({ clock: () => now });
    ({ accessToken: good, sessionId } = await signIn(server.client));
    [key] = (await server.keys()) as [KeyPair];
  });
  after(() => server.close());

  /** A good token, but for what is said. */
  async function forge({ header = {}, claims = {} }: Forgery, privateKey = key.privateKey): Promise<string> {
    const seconds = Math.floor(now / 1_000);
    const all = {
      iss: server.url,
      aud: "gatehouse",
      sub: "alice",
      principal_type: "User",
      sid: sessionId,
      jti: newTokenId("alice", now, randomBytes),
      iat: seconds,
      exp: seconds + 60,
      ...claims,
    };
    const crit = (header.crit as string[] | undefined)?.map((name) => [name, true]) ?? [];
    return await new CompactSign(Buffer.from(JSON.stringify(all)))
      .setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid: key.kid, ...header })
      .sign(privateKey, { crit: Object.fromEntries(crit) as Record<string, boolean> });
  }

  async function answerTo(bearerToken: string): Promise<string> {
    try {
      const { principal } = await server.client.authenticate({
        credential: { case: "bearerToken", value: bearerToken },
      });
      return `accepted as ${principal?.id}`;
    } catch (error) {
      return Code[ConnectError.from(error).code];
    }
  }

  const refused = async (token: string): Promise<void> => {
    assert.equal(await answerTo(token), "Unauthenticated");
    const { active } = await server.client.introspect({ token });
    assert.equal(active, false, "and it is not active");
  };

  it("are refused for what is wrong with them alone: a faultless one is accepted", async () => {
    assert.equal(await answerTo(good), "accepted as alice");
    assert.equal(await answerTo(await forge({})), "accepted as alice");
  });

  it("without a signature", async () => {
    const [, payload = "", signature = ""] = good.split(".");
    for (const alg of ["none", "None", "NONE", ""]) {
      const header = json({ alg, typ: "at+jwt", kid: key.kid });
      for (const end of ["", signature]) await refused(`${header}.${payload}.${end}`);
    }
    await refused(`${good.slice(0, good.lastIndexOf("."))}.`);
  });

  it("signed with the public key as an HMAC secret, in each of its forms", async () => {
    const [, payload = ""] = good.split(".");
    const jwk = await exportJWK(key.publicKey);
    const secrets = [await exportSPKI(key.publicKey), JSON.stringify(jwk), JSON.stringify(key.publicJwk), key.kid, ""];
    for (const alg of ["HS256", "HS384", "HS512"]) {
      const signed = `${json({ alg, typ: "at+jwt", kid: key.kid })}.${payload}`;
      for (const secret of secrets) {
        const mac = createHmac(`sha${alg.slice(2)}`, secret)
          .update(signed)
          .digest("base64url");
        await refused(`${signed}.${mac}`);
      }
    }
  });

  it("of another algorithm than their key's", async () => {
    for (const alg of ["ES384", "RS256", "EdDSA", "PS256", "es256"]) {
      await refused(`${json({ alg, typ: "at+jwt", kid: key.kid })}.${good.split(".").slice(1).join(".")}`);
    }
  });

  it("whose key id is another's, a path, a query, or of another type", async () => {
    const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const kids = [
      "../../../../dev/null",
      "/dev/null",
      "' OR 1=1 --",
      "*",
      "__proto__",
      "constructor",
      "",
      "x".repeat(43),
    ];
    for (const kid of [...kids, key.kid]) await refused(await forge({ header: { kid } }, own.privateKey as never));
    for (const kid of [null, 0, [key.kid], { kid: key.kid }, undefined]) {
      await refused(`${json({ alg: "ES256", typ: "at+jwt", kid })}.${good.split(".").slice(1).join(".")}`);
    }
  });

  it("that bring or point to the key that signed them", async () => {
    const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const jwk = await exportJWK(own.publicKey);
    const jku = `${server.url}/.well-known/jwks.json`;
    for (const header of [{ jwk }, { jku }, { x5u: jku }, { x5c: ["MIIB"] }, { jwk, kid: undefined }]) {
      await refused(await forge({ header }, own.privateKey as never));
      await refused(await forge({ header }));
    }
  });

  it("of another type, or with a header that we do not know", async () => {
    for (const typ of ["JWT", "jwt", "application/at+jwt", "logout+jwt", "", undefined]) {
      await refused(await forge({ header: { typ } }));
    }
    await refused(await forge({ header: { b64: true, crit: ["b64"] } }));
    await refused(await forge({ header: { zip: "DEF" } }));
    await refused(await forge({ header: { cty: "JWT" } }));
  });

  it("whose signature was tampered with, or whose claims", async () => {
    const [header = "", payload = "", signature = ""] = good.split(".");
    const bytes = Buffer.from(signature, "base64url");
    for (const index of [0, 31, 32, 63]) {
      const changed = Buffer.from(bytes);
      changed[index]! ^= 1;
      await refused(`${header}.${payload}.${changed.toString("base64url")}`);
    }
    await refused(`${header}.${payload}.${Buffer.alloc(64).toString("base64url")}`);
    await refused(`${header}.${payload}.${bytes.subarray(0, 63).toString("base64url")}`);
    const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as Record<string, unknown>;
    for (const change of [{ sub: "bob" }, { exp: 4_000_000_000 }, { scope: "admin" }, { principal_type: "Client" }]) {
      await refused(`${header}.${json({ ...claims, ...change })}.${signature}`);
    }
  });

  it("that have expired, or are not valid yet, beyond the skew of clocks", async () => {
    const seconds = Math.floor(now / 1_000);
    await refused(await forge({ claims: { exp: seconds - 5 } }));
    assert.equal(await answerTo(await forge({ claims: { exp: seconds - 4 } })), "accepted as alice");
    await refused(await forge({ claims: { nbf: seconds + 6 } }));
    assert.equal(await answerTo(await forge({ claims: { nbf: seconds + 5 } })), "accepted as alice");
    await refused(await forge({ claims: { jti: newTokenId("alice", now + 5_001, randomBytes) } }));
    for (const exp of [undefined, null, String(seconds + 60), [seconds + 60], true]) {
      await refused(await forge({ claims: { exp } }));
    }
  });

  it("are refused from their expiry on, also when they were verified before", async () => {
    const seconds = Math.floor(now / 1_000);
    const token = await forge({ claims: { exp: seconds + 60 } });
    assert.equal(await answerTo(token), "accepted as alice");
    const before = now;
    now = (seconds + 65) * 1_000;
    await refused(token);
    now = before;
  });

  it("of another issuer, or for another audience", async () => {
    for (const iss of ["http://127.0.0.1:1", `${server.url}/`, server.url.toUpperCase(), "", undefined]) {
      await refused(await forge({ claims: { iss } }));
    }
    for (const aud of ["billing", ["billing", "shop"], "gatehouse ", "Gatehouse"]) {
      assert.equal(await answerTo(await forge({ claims: { aud } })), "Unauthenticated");
    }
    for (const aud of ["", [], undefined, null, { gatehouse: true }]) await refused(await forge({ claims: { aud } }));
    assert.equal(await answerTo(await forge({ claims: { aud: ["billing", "gatehouse"] } })), "accepted as alice");
  });

  it("whose claims are missing or of another type", async () => {
    for (const name of ["sub", "jti", "iat", "principal_type"]) {
      for (const value of [undefined, null, "", 1, ["alice"]]) {
        if (name === "iat" && value === 1) continue;
        await refused(await forge({ claims: { [name]: value } }));
      }
    }
    await refused(await forge({ claims: { scope: ["admin"] } }));
    await refused(await forge({ claims: { scope: Array.from({ length: 65 }, (_, index) => `s${index}`).join(" ") } }));
  });

  it("of another's session, of one that never was, or of a user who never was", async () => {
    const bob = await signIn(server.client, [], "bob");
    await refused(await forge({ claims: { sid: bob.sessionId } }));
    await refused(await forge({ claims: { sid: `${sessionId.slice(0, -1)}${sessionId.endsWith("A") ? "B" : "A"}` } }));
    await refused(await forge({ claims: { sid: "../session" } }));
    await refused(await forge({ claims: { sub: "mallory", sid: undefined } }));
    await refused(await forge({ claims: { sub: "Alice" } }));
  });

  it("that are too large, or no tokens at all", async () => {
    const large = await forge({ claims: { padding: "x".repeat(12_500) } });
    assert.ok(large.length > 16_384);
    assert.equal(await answerTo(large), "InvalidArgument");
    await refused(await forge({ header: { padding: "x".repeat(600) } }));
    for (const text of [
      "..",
      "a.b",
      "a.b.c",
      "a.b.c.d",
      ".".repeat(16_384),
      `${good}.`,
      ` ${good}`,
      `${good}\n`,
      `Bearer ${good}`,
    ]) {
      await refused(text);
    }
    await refused(`${json(null)}.${json(null)}.AA`);
    await refused(`${json("at+jwt")}.${json([])}.AA`);
    await refused(good.replace(".", "=."));
  });

  it("are refused once their session has ended, by whatever token it was ended", async () => {
    for (const end of ["sessionToken", "refreshToken"] as const) {
      const signedIn = await signIn(server.client);
      assert.equal(await answerTo(signedIn.accessToken), "accepted as alice");
      await server.client.revoke({ target: { case: "token", value: signedIn[end] } });
      await refused(signedIn.accessToken);
      await refused(signedIn.sessionToken);
    }
  });

  it("are refused once they were revoked by themselves, their session not", async () => {
    const signedIn = await signIn(server.client);
    assert.equal(await answerTo(signedIn.accessToken), "accepted as alice");
    await server.client.revoke({ target: { case: "token", value: signedIn.accessToken } });
    await refused(signedIn.accessToken);
    assert.equal(await answerTo(signedIn.sessionToken), "accepted as alice");
  });

  it("are refused while their user is disabled, cached or not", async () => {
    const { accessToken } = await signIn(server.client, [], "bob");
    assert.equal(await answerTo(accessToken), "accepted as bob");
    await server.stores.identities.updateUser("bob", { disabled: true });
    await refused(accessToken);
    await server.stores.identities.updateUser("bob", { disabled: false });
    assert.equal(await answerTo(accessToken), "accepted as bob");
  });

  it("are refused once the session has been idle for too long", async () => {
    const before = now;
    const { accessToken, sessionToken } = await signIn(server.client);
    now += 29 * minute;
    await refused(accessToken);
    assert.equal(await answerTo(sessionToken), "accepted as alice");
    now = before;
  });
});

for (const [algorithm, others] of [
  ["RS256", ["PS256", "RS384", "RS512"]],
  ["EdDSA", ["Ed25519"]],
] as const) {
  it(`a key of ${algorithm} verifies nothing else: no HMAC with its public half, and no other algorithm`, async () => {
    const server = await startAuthServer({ env: { TOKEN_SIGNING_ALGORITHM: algorithm } });
    try {
      const { accessToken } = await signIn(server.client);
      const [key] = await server.keys();
      assert.ok(key);
      const payload = accessToken.split(".")[1] ?? "";
      const isGood = (value: string): Promise<boolean> =>
        server.client.authenticate({ credential: { case: "bearerToken", value } }).then(
          () => true,
          (error: unknown) => {
            assert.equal(ConnectError.from(error).code, Code.Unauthenticated);
            return false;
          },
        );
      assert.equal(await isGood(accessToken), true);
      const pem = await exportSPKI(key.publicKey);
      const jwk = JSON.stringify(await exportJWK(key.publicKey));
      for (const secret of [pem, pem.trim(), jwk]) {
        const signed: string = `${json({ alg: "HS256", typ: "at+jwt", kid: key.kid })}.${payload}`;
        assert.equal(
          await isGood(`${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`),
          false,
        );
      }
      for (const alg of others) {
        const token = await new CompactSign(Buffer.from(payload, "base64url"))
          .setProtectedHeader({ alg, typ: "at+jwt", kid: key.kid })
          .sign(await server.privateKey(alg));
        assert.equal(await isGood(token), false, alg);
      }
    } finally {
      await server.close();
    }
  });
}
