/** Signing keys over their whole life, of two replicas on one store. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, beforeEach, describe, it } from "node:test";
import { decodeProtectedHeader } from "jose";
import { createSecretBox } from "../src/auth/domain/secret-box.ts";
import { type AccessTokens, createAccessTokens } from "../src/auth/domain/tokens/access-tokens.ts";
import { createKeyRing, type KeyRing, type KeyRingOptions } from "../src/auth/domain/tokens/key-ring.ts";
import type { SigningAlgorithm } from "../src/auth/domain/tokens/signing-keys.ts";
import type { Stores } from "../src/auth/stores.ts";
import { type Backend, backends } from "./support/store-backends.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const { "Redis Cluster": _, ...tested } = backends;

for (const [name, start] of Object.entries(tested)) {
  describe(`signing keys on ${name}`, () => {
    let backend: Backend;
    let stores: readonly Stores[];
    let now = Date.now();
    const clock = (): number => now;
    const encryptionKey = randomBytes(32);

    before(async () => {
      backend = await start();
      stores = [await backend.open(clock), await backend.open(clock)];
    });
    after(async () => {
      for (const store of stores) await store.close();
      await backend.close();
    });
    beforeEach(async () => {
      const { version } = await stores[0]!.signingKeys.load();
      await stores[0]!.signingKeys.replace(version, []);
    });

    function ringOf(replica: number, options: Partial<KeyRingOptions> = {}): KeyRing {
      return createKeyRing({
        store: stores[replica]!.signingKeys,
        box: createSecretBox([encryptionKey], randomBytes),
        clock,
        algorithm: "ES256",
        rotationMs: 30 * day,
        leadMs: hour,
        retentionMs: day,
        ...options,
      });
    }

    function tokensOf(keys: KeyRing, ttlMs = 15 * minute): AccessTokens {
      const issuer = "https://auth.test";
      const options = { issuer, audience: "gatehouse", ttlMs, skewMs: 0, random: randomBytes, cacheSize: 100 };
      return createAccessTokens({ keys, clock, ...options });
    }

    const grant = { principalType: "User", subject: "alice", scopes: [], amr: [] } as const;
    const issue = async (tokens: AccessTokens): Promise<string> => (await tokens.issue(grant)).text;
    const kidOf = (token: string): string => decodeProtectedHeader(token).kid ?? "";
    const publishedBy = async (ring: KeyRing): Promise<(string | undefined)[]> =>
      (await ring.published()).map(({ kid }) => kid);

    for (const algorithm of ["ES256", "EdDSA", "RS256"] as const satisfies readonly SigningAlgorithm[]) {
      it(`sign with ${algorithm}, and every replica verifies`, async () => {
        const [one, other] = [tokensOf(ringOf(0, { algorithm })), tokensOf(ringOf(1, { algorithm }))];
        const token = await issue(one);
        assert.equal(decodeProtectedHeader(token).alg, algorithm);
        assert.equal((await other.verify(token))?.subject, "alice");
        assert.equal((await one.verify(token))?.subject, "alice");
        const [, payload] = token.split(".");
        const tampered = Buffer.from(payload ?? "", "base64url")
          .toString()
          .replace("alice", "mally");
        assert.equal(
          await one.verify(token.replace(payload ?? "", Buffer.from(tampered).toString("base64url"))),
          undefined,
        );
      });
    }

    it("are made once, however many replicas begin at the same time", async () => {
      const rings = Array.from({ length: 10 }, (_, index) => ringOf(index % 2));
      const kids = await Promise.all(rings.map(async (ring) => (await ring.signer()).kid));
      assert.equal(new Set(kids).size, 1);
      assert.equal((await stores[0]!.signingKeys.load()).keys.length, 1);
    });

    it("are published before they sign, sign in turn, and verify until their last token has expired", async () => {
      const [ring, stale] = [ringOf(0), ringOf(1)];
      const [tokens, others] = [tokensOf(ring), tokensOf(stale)];
      const first = kidOf(await issue(tokens));
      assert.equal(kidOf(await issue(others)), first);

      now += 30 * day - hour - 1;
      await ring.tend();
      assert.deepEqual(await publishedBy(ring), [first], "it is not due yet");
      now += 1;
      await Promise.all([ring.tend(), stale.tend()]);
      const published = await publishedBy(ring);
      assert.equal(published.length, 2, "one of the replicas made the next");
      assert.deepEqual(await publishedBy(stale), published);
      const second = published[1] ?? "";
      now += hour - 1;
      const last = await issue(tokens);
      assert.equal(kidOf(last), first, "it is published only");
      now += 1;
      const fresh = await issue(tokens);
      assert.equal(kidOf(fresh), second);
      assert.equal((await others.verify(fresh))?.subject, "alice");
      assert.equal((await others.verify(last))?.subject, "alice", "the old key verifies");

      now += 30 * day;
      await ring.tend();
      const third = await publishedBy(ring);
      assert.equal(third.length, 2, "the first is gone");
      assert.ok(!third.includes(first));
    });

    it("never refuse a token that is valid, through any number of rotations", async () => {
      const rings = [ringOf(0), ringOf(1)] as const;
      const issuers = rings.map((ring) => tokensOf(ring, day - 1_000));
      const alive: { readonly token: string; readonly until: number }[] = [];
      for (let step = 0; step < 60; step += 1) {
        // One replica hears of nothing but by the tokens that it is shown.
        await rings[0].tend();
        if (step % 7 === 3) await rings[0].rotate();
        if (step % 11 === 5) await rings[0].rotate({ immediately: true });
        const token = await issue(issuers[step % 2]!);
        alive.push({ token, until: now + day - 1_000 });
        for (const [index, { token, until }] of alive.entries()) {
          if (now >= until - 1_000 || index < alive.length - 5) continue;
          for (const issuer of issuers) assert.equal((await issuer.verify(token))?.subject, "alice", `step ${step}`);
        }
        now += 5 * hour;
      }
      assert.ok((await stores[0]!.signingKeys.load()).keys.length < 10, "and they do not pile up");
    });

    it("are found by a replica that has not heard of them, and strangers' are not", async () => {
      const [ring, unaware] = [ringOf(0), ringOf(1)];
      await unaware.signer();
      await ring.rotate({ immediately: true });
      const token = await issue(tokensOf(ring));
      assert.equal(await unaware.find("x".repeat(43)), undefined);
      assert.equal((await tokensOf(unaware).verify(token))?.subject, "alice");
    });

    it("rotate by hand once for all replicas that do it at the same time", async () => {
      const rings = [ringOf(0), ringOf(1)] as const;
      await Promise.all(rings.map((ring) => ring.signer()));
      const kids = await Promise.all([...rings, ...rings].map((ring) => ring.rotate()));
      assert.equal(new Set(kids).size, 1);
      assert.equal((await rings[0].published()).length, 2);
      assert.equal(await rings[1].rotate(), kids[0], "one is waiting already");
      const at = await rings[1].rotate({ immediately: true });
      assert.notEqual(at, kids[0]);
      assert.equal((await rings[1].signer()).kid, at);
    });

    it("are dropped with every token they signed when one has leaked, however many drop them at once", async () => {
      const [ring, other] = [ringOf(0), ringOf(1)];
      const [tokens, others] = [tokensOf(ring), tokensOf(other)];
      await ring.rotate();
      const old = await issue(tokens);
      for (const each of [tokens, others]) assert.equal((await each.verify(old))?.subject, "alice", "and remembered");
      const kids = await Promise.all([ring, other, ring].map((each) => each.rotate({ dropOthers: true })));
      const published = await publishedBy(ring);
      assert.equal(published.length, 1);
      assert.ok(kids.includes(published[0] ?? ""));
      await other.tend();
      for (const each of [tokens, others]) {
        assert.equal(await each.verify(old), undefined);
        assert.equal((await each.verify(await issue(tokens)))?.subject, "alice");
      }
    });

    it("change their algorithm by a rotation", async () => {
      const before = tokensOf(ringOf(0));
      const old = await issue(before);
      const ring = ringOf(1, { algorithm: "EdDSA" });
      await ring.tend();
      assert.equal(decodeProtectedHeader(await issue(tokensOf(ring))).alg, "ES256");
      now += hour;
      const token = await issue(tokensOf(ring));
      assert.equal(decodeProtectedHeader(token).alg, "EdDSA");
      assert.equal((await before.verify(token))?.subject, "alice");
      assert.equal(await before.verify(old), undefined, "it has expired");
    });

    it("do not open without the key that encrypted them, nor when the store was tampered with", async () => {
      await ringOf(0).signer();
      const strange = ringOf(1, { box: createSecretBox([randomBytes(32)], randomBytes) });
      await assert.rejects(strange.signer(), { name: "SecretBoxError" });
      await assert.rejects(strange.tend(), { name: "SecretBoxError" });
      const both = ringOf(1, { box: createSecretBox([randomBytes(32), encryptionKey], randomBytes) });
      assert.ok(await both.signer());
      const { version, keys } = await stores[0]!.signingKeys.load();
      const [key] = keys;
      assert.ok(key);
      const changes = [{ kid: "x".repeat(43) }, { activateTime: 0 }, { sealed: `${key.sealed.slice(0, -2)}AA` }];
      for (const [index, change] of changes.entries()) {
        await stores[0]!.signingKeys.replace(version + index, [{ ...key, ...change }]);
        await assert.rejects(ringOf(0).signer(), { name: "SecretBoxError" });
      }
    });

    it("are not in the store but sealed", async () => {
      await ringOf(0).signer();
      const kept = await backend.dump();
      assert.ok(kept.includes("sealed"));
      assert.ok(!kept.includes("kty"), "no key is readable");
    });
  });
}
