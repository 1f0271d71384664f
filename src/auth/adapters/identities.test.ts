import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { IdentityStore, NewUser, User } from "../domain/identities.ts";
import { type StoreBackend, storeBackends } from "../testing/store-backends.ts";

const alice: NewUser = {
  name: "alice",
  roles: ["editor", "reviewer"],
  attributes: { age: 7, home: { __entity: { type: "Place", id: "{wonder}land" } }, tags: ["x", true, null] },
  passwordHash: "$argon2id$1",
  disabled: false,
  createTime: 1_700_000_000_000,
};

/** A user as one is kept who has just been created. */
function created(user: NewUser): User {
  return { ...user, version: user.createTime, sessionEpoch: user.createTime };
}

function named(name: string, createTime: number = alice.createTime): NewUser {
  return { ...alice, name, createTime };
}

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
      assert.deepEqual(await store.findUser("alice"), created(alice));
      assert.deepEqual(await backend.replica.identities.findUser("alice"), created(alice));
      assert.equal(await store.findUser("Alice"), undefined);
    });

    it("are created once", async () => {
      assert.equal(await store.createUser({ ...alice, roles: ["admin"] }), false);
      assert.deepEqual(await store.findUser("alice"), created(alice));
      const race = { ...alice, name: "race" };
      const answers = await Promise.all(
        Array.from({ length: 20 }, async (_, n) =>
          (n % 2 === 0 ? store : backend.replica.identities).createUser({ ...race, roles: [`${n}`] }),
        ),
      );
      assert.equal(answers.filter(Boolean).length, 1);
    });

    it("change field by field", async () => {
      const user = created({ ...alice, name: "changing" });
      await store.createUser(user);
      for (const changes of [
        { roles: [] },
        { attributes: {} },
        { disabled: true },
        { passwordHash: undefined },
        { disabled: false, passwordHash: "$argon2id$2", roles: ["x"] },
        {},
      ]) {
        const changed = await store.updateUser("changing", changes);
        Object.assign(user, changes, { version: user.version + 1 });
        assert.deepEqual(changed, user);
        assert.deepEqual(await store.findUser("changing"), user);
      }
      assert.equal(await store.updateUser("nobody", { disabled: true }), "absent");
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
      assert.equal(await store.deleteUser("leaving"), "deleted");
      assert.equal(await store.deleteUser("leaving"), "absent");
      assert.equal(await store.findUser("leaving"), undefined);
    });

    it("tell which sessions are from before a change", async () => {
      await store.createUser(named("watched"));
      const { createTime } = alice;
      await store.updateUser("watched", { attributes: {} }, { endSessions: false });
      assert.equal((await store.findUser("watched"))?.sessionEpoch, createTime);
      const changed = await store.updateUser("watched", { roles: [] }, { endSessions: true });
      assert.deepEqual(changed, {
        ...created(named("watched")),
        attributes: {},
        roles: [],
        version: createTime + 2,
        sessionEpoch: createTime + 2,
      });
      assert.equal(await store.replacePasswordHash("watched", "$argon2id$1", "$argon2id$2"), true);
      assert.equal(
        (await store.findUser("watched"))?.version,
        createTime + 2,
        "nobody sees a hash change its parameters",
      );
    });

    it("are written only at the expected version, and of twenty at once one", async () => {
      await store.createUser(named("dave"));
      const attempts = Array.from({ length: 20 }, async (_, index) =>
        store.updateUser("dave", { attributes: { index } }, { expectedVersion: alice.createTime }),
      );
      const outcomes = await Promise.all(attempts);
      assert.equal(outcomes.filter((outcome) => outcome === "changed").length, 19);
      const winner = outcomes.findIndex((outcome) => typeof outcome === "object");
      assert.deepEqual((await store.findUser("dave"))?.attributes, { index: winner });
      assert.equal(await store.deleteUser("dave", { expectedVersion: alice.createTime }), "changed");
      assert.equal(await store.deleteUser("dave", { expectedVersion: alice.createTime + 1 }), "deleted");
      assert.equal(await store.deleteUser("dave", { expectedVersion: alice.createTime + 1 }), "absent");
      assert.equal(await store.findUser("dave"), undefined);
    });

    it("are listed page by page, by the bytes of their names, and none that is gone", async () => {
      const names = ["zlist", "zlist-b", "zlist-a", "zlist-z", "zlist-é", "zlist-日本", "zlist-𝒳", "zlist-gone"];
      for (const listed of names) await store.createUser(named(listed));
      await store.deleteUser("zlist-gone");
      await store.deleteUser("zlist-b");
      await store.createUser(named("zlist-b", alice.createTime + 5));
      const pages: string[][] = [];
      for (let last: string | undefined = "zlisp"; last !== undefined; last = pages.at(-1)?.at(-1)) {
        const page = await store.listUsers(last, 3);
        pages.push(page.map((user) => user.name));
      }
      const expected = [["zlist", "zlist-a", "zlist-b"], ["zlist-z", "zlist-é", "zlist-日本"], ["zlist-𝒳"], []];
      assert.deepEqual(pages, expected);
      const [, , again] = await store.listUsers("zlisp", 3);
      assert.deepEqual(again, await store.findUser("zlist-b"), "created anew, and listed once");
    });

    it("are listed as they are there after creating and deleting the same name at once", async () => {
      for (let round = 0; round < 10; round += 1) {
        const createTime = alice.createTime + round;
        await Promise.all([
          store.createUser(named("storm", createTime)),
          store.deleteUser("storm"),
          store.createUser(named("storm", createTime + 100)),
          store.deleteUser("storm"),
        ]);
        const found = await store.findUser("storm");
        const listed = (await store.listUsers("storl", 5)).filter((user) => user.name === "storm");
        assert.deepEqual(listed, found === undefined ? [] : [found]);
      }
    });
  });
}
