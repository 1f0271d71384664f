import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openSqlite } from "../../shared/store/sqlite.ts";
import { type ApiKeys, createApiKeys, type MadeApiKey, type NewApiKey } from "../domain/api-keys.ts";
import type { NewUser } from "../domain/identities.ts";
import { type StoreBackend, storeBackends } from "../testing/store-backends.ts";
import { createSqliteApiKeyStore } from "./sqlite-api-keys.ts";
import { createSqliteIdentityStore } from "./sqlite-identities.ts";

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

for (const [name, open] of Object.entries(storeBackends)) {
  describe(`API keys in ${name}`, () => {
    let stores: StoreBackend;
    let now = start;

    const keysOf = ({ apiKeys }: Pick<StoreBackend, "apiKeys">): ApiKeys =>
      createApiKeys({ store: apiKeys, clock: () => now, random: randomBytes });

    before(async () => {
      stores = await open();
    });
    after(() => stores.close());

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
      assert.equal((await keys.find(text))?.id, key.id);
      assert.equal(await used(), undefined, "to be found is no use");
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

    it("has the same keys on every replica", async () => {
      await stores.identities.createUser(userNamed("lena"));
      const { text, key } = await made(keysOf(stores), { user: "lena" });
      assert.equal((await keysOf(stores.replica).use(text))?.id, key.id);
      await keysOf(stores.replica).revoke(key.id);
      assert.equal(await keysOf(stores).use(text), undefined);
    });
  });
}

it("no key, nor its secret, is in the embedded store", async () => {
  const directory = mkdtempSync(join(tmpdir(), "gatehouse-keys-"));
  const database = openSqlite(join(directory, "auth.db"));
  const keys = createApiKeys({ store: createSqliteApiKeyStore(database), clock: Date.now, random: randomBytes });
  await createSqliteIdentityStore(database).createUser(userNamed("alice"));
  const { text, key } = await made(keys, { user: "alice" });
  const bytes = ["auth.db", "auth.db-wal"].map((file) => readFileSync(join(directory, file), "latin1")).join("");
  const secret = Buffer.from(text.slice(3), "base64url").subarray(12, 44);
  assert.ok(bytes.includes(key.id));
  assert.ok(!bytes.includes(text.slice(20)) && !bytes.includes(secret.toString("latin1")));
  database.close();
  rmSync(directory, { recursive: true });
});
