import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { IdentityStore, User } from "../domain/identities.ts";
import { type StoreBackend, storeBackends } from "../testing/store-backends.ts";

const alice: User = {
  name: "alice",
  roles: ["editor", "reviewer"],
  attributes: { age: 7, home: { __entity: { type: "Place", id: "{wonder}land" } }, tags: ["x", true, null] },
  passwordHash: "$argon2id$1",
  disabled: false,
  createTime: 1_700_000_000_000,
};

for (const [name, open] of Object.entries(storeBackends)) {
  describe(`identities in ${name}`, () => {
    let backend: StoreBackend;
    let store: IdentityStore;
    before(async () => {
      backend = await open();
      store = backend.identities;
    });
    after(() => backend.close());

    it("are found as they were created, on every replica", async () => {
      assert.equal(await store.findUser("alice"), undefined);
      assert.equal(await store.createUser(alice), true);
      assert.deepEqual(await store.findUser("alice"), alice);
      assert.deepEqual(await backend.replica.identities.findUser("alice"), alice);
      assert.equal(await store.findUser("Alice"), undefined);
    });

    it("are created once", async () => {
      assert.equal(await store.createUser({ ...alice, roles: ["admin"] }), false);
      assert.deepEqual(await store.findUser("alice"), alice);
      const race = { ...alice, name: "race" };
      const answers = await Promise.all(
        Array.from({ length: 20 }, async (_, n) =>
          (n % 2 === 0 ? store : backend.replica.identities).createUser({ ...race, roles: [`${n}`] }),
        ),
      );
      assert.equal(answers.filter(Boolean).length, 1);
    });

    it("change field by field", async () => {
      const user = { ...alice, name: "changing" };
      await store.createUser(user);
      for (const changes of [
        { roles: [] },
        { attributes: {} },
        { disabled: true },
        { passwordHash: undefined },
        { disabled: false, passwordHash: "$argon2id$2", roles: ["x"] },
        {},
      ]) {
        assert.equal(await store.updateUser("changing", changes), true);
        Object.assign(user, changes);
        assert.deepEqual(await store.findUser("changing"), user);
      }
      assert.equal(await store.updateUser("nobody", { disabled: true }), false);
      assert.equal(await store.findUser("nobody"), undefined);
    });

    it("have their hash replaced only while it is what was checked", async () => {
      await store.createUser({ ...alice, name: "hashed" });
      assert.equal(await store.replacePasswordHash("hashed", "$argon2id$0", "$argon2id$9"), false);
      assert.equal(await store.replacePasswordHash("hashed", "$argon2id$1", "$argon2id$2"), true);
      assert.equal((await store.findUser("hashed"))?.passwordHash, "$argon2id$2");
      assert.equal(await store.replacePasswordHash("nobody", "$argon2id$1", "$argon2id$2"), false);
    });

    it("are gone once deleted", async () => {
      await store.createUser({ ...alice, name: "leaving" });
      assert.equal(await store.deleteUser("leaving"), true);
      assert.equal(await store.deleteUser("leaving"), false);
      assert.equal(await store.findUser("leaving"), undefined);
    });
  });
}
