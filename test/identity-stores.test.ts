import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type ApiKeys, createApiKeys, type MadeApiKey, type NewApiKey } from "../src/auth/domain/api-keys.ts";
import type { NewUser } from "../src/auth/domain/identities.ts";
import type { Stores } from "../src/auth/stores.ts";
import { authBackends, type Backend, openAuthStores } from "./support/auth-backends.ts";

const minute = 60_000;
const start = 1_800_000_000_000;

function userNamed(name: string, createTime = start): NewUser {
  return { name, roles: ["editor"], attributes: { team: "docs" }, passwordHash: "$hash", disabled: false, createTime };
}

async function made(keys: ApiKeys, key: Partial<NewApiKey> & { readonly user: string }): Promise<MadeApiKey> {
  const outcome = await keys.make({ displayName: "", scopes: [], expireTime: undefined, ...key });
  assert.ok(typeof outcome === "object", `the key was made, not ${String(outcome)}`);
  return outcome;
}

for (const [name, open] of Object.entries(authBackends)) {
  describe(`users and API keys on ${name}`, () => {
    let backend: Backend;
    let stores: Stores;
    let now = start;

    const keysOf = ({ apiKeys }: Stores): ApiKeys =>
      createApiKeys({ store: apiKeys, clock: () => now, random: randomBytes });

    before(async () => {
      backend = await open();
      stores = await backend.open();
    });
    after(async () => {
      await stores.close();
      await backend.close();
    });

    it("replaces the given fields of a user, each change a new version", async () => {
      const { identities } = stores;
      await identities.createUser(userNamed("carol"));
      const changed = await identities.updateUser("carol", { roles: [], passwordHash: undefined });
      const expected = { ...userNamed("carol"), roles: [], passwordHash: undefined };
      assert.deepEqual(changed, { ...expected, version: start + 1, sessionEpoch: start });
      assert.deepEqual(await identities.findUser("carol"), changed);
      assert.deepEqual(await identities.updateUser("carol", { disabled: true }, { endSessions: true }), {
        ...expected,
        disabled: true,
        version: start + 2,
        sessionEpoch: start + 2,
      });
      assert.equal(await identities.updateUser("nobody", { disabled: true }), "absent");
      assert.equal(await identities.findUser("nobody"), undefined);
    });

    it("writes only to the expected version, and of twenty at once one", async () => {
      const { identities } = stores;
      await identities.createUser(userNamed("dave"));
      const attempts = Array.from({ length: 20 }, async (_, index) =>
        identities.updateUser("dave", { attributes: { index } }, { expectedVersion: start }),
      );
      const outcomes = await Promise.all(attempts);
      assert.equal(outcomes.filter((outcome) => outcome === "changed").length, 19);
      const winner = outcomes.findIndex((outcome) => typeof outcome === "object");
      assert.deepEqual((await identities.findUser("dave"))?.attributes, { index: winner });
      assert.equal(await identities.deleteUser("dave", { expectedVersion: start }), "changed");
      assert.equal(await identities.deleteUser("dave", { expectedVersion: start + 1 }), "deleted");
      assert.equal(await identities.deleteUser("dave", { expectedVersion: start + 1 }), "absent");
      assert.equal(await identities.findUser("dave"), undefined);
    });

    it("lists users page by page, by the bytes of their names, and none that is gone", async () => {
      const { identities } = stores;
      const names = ["list", "list-b", "list-a", "list-z", "list-é", "list-日本", "list-𝒳", "list-gone"];
      for (const listed of names) await identities.createUser(userNamed(listed));
      await identities.deleteUser("list-gone");
      await identities.deleteUser("list-b");
      await identities.createUser(userNamed("list-b", start + 5));
      const pages: string[][] = [];
      for (let last: string | undefined = "lisp"; last !== undefined; last = pages.at(-1)?.at(-1)) {
        const page = await identities.listUsers(last, 3);
        pages.push(page.map((user) => user.name));
      }
      const expected = [["list", "list-a", "list-b"], ["list-z", "list-é", "list-日本"], ["list-𝒳"], []];
      assert.deepEqual(pages, expected);
      const [, , again] = await identities.listUsers("lisp", 3);
      assert.deepEqual(again, await identities.findUser("list-b"), "created anew, and listed once");
    });

    it("lists whoever is there after creating and deleting the same name at once", async () => {
      const { identities } = stores;
      for (let round = 0; round < 10; round += 1) {
        const createTime = start + round;
        await Promise.all([
          identities.createUser(userNamed("storm", createTime)),
          identities.deleteUser("storm"),
          identities.createUser(userNamed("storm", createTime + 100)),
          identities.deleteUser("storm"),
        ]);
        const found = await identities.findUser("storm");
        const listed = (await identities.listUsers("storl", 5)).filter((user) => user.name === "storm");
        assert.deepEqual(listed, found === undefined ? [] : [found]);
      }
    });

    it("makes keys for users who exist, and finds each by its text alone", async () => {
      const keys = keysOf(stores);
      await stores.identities.createUser(userNamed("erin"));
      const { key, text } = await made(keys, { user: "erin", displayName: "ci", scopes: ["view"] });
      assert.match(text, /^gh_[A-Za-z0-9_-]{64}$/);
      assert.deepEqual(await keys.list("erin"), [key]);
      assert.deepEqual(await keys.use(text), { ...key, lastUsedTime: now });
      assert.equal(await keys.use(key.id), undefined, "the id does not stand for the key");
      const other = await made(keys, { user: "erin" });
      assert.equal(other.key.expireTime, undefined);
      const nobody = { user: "nobody", displayName: "", scopes: [], expireTime: undefined };
      assert.equal(await keys.make(nobody), "absent");
    });

    it("refuses a key of another secret, also one whose checksum is right", async () => {
      const keys = keysOf(stores);
      await stores.identities.createUser(userNamed("frank"));
      const { key } = await made(keys, { user: "frank" });
      const id = Buffer.from(key.id, "base64url");
      // The same id with another secret: random bytes after it, and the checksum that they ask for.
      const forger = createApiKeys({
        store: { ...stores.apiKeys, add: () => "added" },
        clock: () => now,
        random: (size) => Buffer.concat([id.subarray(2), randomBytes(size - 10)]),
      });
      const forged = await made(forger, { user: "frank" });
      assert.equal(forged.key.id, key.id);
      assert.equal(await keys.use(forged.text), undefined);
    });

    it("lets a key expire, and records its use at most once a minute", async () => {
      const keys = keysOf(stores);
      await stores.identities.createUser(userNamed("grace"));
      const { key, text } = await made(keys, { user: "grace", expireTime: now + 10 * minute });
      const used = async (): Promise<number | undefined> => (await keys.list("grace"))[0]?.lastUsedTime;
      assert.equal(await used(), undefined);
      await keys.use(text);
      const first = now;
      assert.equal(await used(), first);
      now += minute - 1;
      await keys.use(text);
      assert.equal(await used(), first);
      now += 1;
      await keys.use(text);
      assert.equal(await used(), now);
      await stores.apiKeys.touch(Buffer.from(key.id, "base64url").toString("hex", 0, 2), key.id, first);
      assert.equal(await used(), now, "an earlier use does not move it back");
      now = key.expireTime! - 1;
      assert.ok(await keys.use(text));
      now += 1;
      assert.equal(await keys.use(text), undefined);
      assert.equal((await keys.list("grace")).length, 1, "it is still listed");
    });

    it("keeps a hundred keys of a user at most, also when they are made at once", async () => {
      const keys = keysOf(stores);
      await stores.identities.createUser(userNamed("heidi"));
      const wanted = { user: "heidi", displayName: "", scopes: [], expireTime: undefined };
      const outcomes = await Promise.all(Array.from({ length: 120 }, async () => keys.make(wanted)));
      assert.equal(outcomes.filter((outcome) => outcome === "full").length, 20);
      assert.equal((await keys.list("heidi")).length, 100);
    });

    it("revokes one key, and lists the others newest first", async () => {
      const keys = keysOf(stores);
      await stores.identities.createUser(userNamed("ivan"));
      const first = await made(keys, { user: "ivan" });
      now += 1;
      const second = await made(keys, { user: "ivan" });
      now += 1;
      const third = await made(keys, { user: "ivan" });
      assert.equal(await keys.revoke(second.key.id), true);
      assert.equal(await keys.revoke(second.key.id), false);
      assert.equal(await keys.revoke("no-such-key"), false);
      assert.equal(await keys.use(second.text), undefined);
      const listed = (await keys.list("ivan")).map(({ id }) => id);
      assert.deepEqual(listed, [third.key.id, first.key.id]);
      assert.ok(await keys.use(first.text));
    });

    it("removes the keys of a user with the user, and none of theirs comes back with the name", async () => {
      const keys = keysOf(stores);
      await stores.identities.createUser(userNamed("judy"));
      await stores.identities.createUser(userNamed("karl"));
      const gone = await made(keys, { user: "judy" });
      const stays = await made(keys, { user: "karl" });
      assert.equal(await stores.identities.deleteUser("judy"), "deleted");
      await stores.identities.createUser(userNamed("judy", start + 1));
      assert.equal(await keys.use(gone.text), undefined);
      assert.deepEqual(await keys.list("judy"), []);
      assert.ok(await keys.use(stays.text));
    });

    it("has keys when it is opened again, also from a second replica", async () => {
      await stores.identities.createUser(userNamed("lena"));
      const { text, key } = await made(keysOf(stores), { user: "lena" });
      const second = await backend.open();
      try {
        assert.equal((await keysOf(second).use(text))?.id, key.id);
        await keysOf(second).revoke(key.id);
        assert.equal(await keysOf(stores).use(text), undefined);
      } finally {
        await second.close();
      }
    });
  });
}

it("no key, nor its secret, is in the embedded store", async () => {
  const dir = mkdtempSync(join(tmpdir(), "gatehouse-stores-"));
  const stores = await openAuthStores("", dir);
  const keys = createApiKeys({ store: stores.apiKeys, clock: Date.now, random: randomBytes });
  await stores.identities.createUser(userNamed("alice"));
  const { text } = await made(keys, { user: "alice" });
  const bytes = ["auth.db", "auth.db-wal"].map((file) => readFileSync(join(dir, file), "latin1")).join("");
  const secret = Buffer.from(text.slice(3), "base64url").subarray(12, 44);
  assert.ok(!bytes.includes(text.slice(20)) && !bytes.includes(secret.toString("latin1")));
  await stores.close();
  rmSync(dir, { recursive: true });
});
