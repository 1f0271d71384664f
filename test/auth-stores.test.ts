import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createSessions, type Sessions } from "../src/auth/domain/sessions.ts";
import type { Stores } from "../src/auth/stores.ts";
import { type AuthBackend, authBackends, openAuthStores } from "./support/auth-backends.ts";
import { startRedisServer } from "./support/redis-server.ts";

const minute = 60_000;
const day = 24 * 60 * minute;

function sessionsIn({ sessions }: Stores, clock: () => number): Sessions {
  return createSessions({
    store: sessions,
    clock,
    random: randomBytes,
    idleTimeoutMs: 30 * minute,
    maxAgeMs: 7 * day,
    limit: 5,
  });
}

for (const [name, start] of Object.entries(authBackends)) {
  describe(`stores of auth-service on ${name}`, () => {
    let backend: AuthBackend;
    let stores: Stores;
    let now = 1_800_000_000_000;
    let users = 0;

    const sessionsOf = (from: Stores): Sessions => sessionsIn(from, () => now);
    const newUser = (): string => {
      users += 1;
      return `user-${users}`;
    };

    before(async () => {
      backend = await start();
      stores = await backend.open();
    });
    after(async () => {
      await stores.close();
      await backend.close();
    });

    it("opens a session with a token of 256 bits, and finds it by that alone", async () => {
      const sessions = sessionsOf(stores);
      const user = newUser();
      const { session, token } = await sessions.open(user, ["pwd"]);
      assert.ok(Buffer.from(token, "base64url").length >= 32);
      assert.deepEqual(await sessions.use(token), session);
      assert.equal(await sessions.use(session.id), undefined, "the id does not open the session");
      for (const forged of [`${token}x`, token.slice(0, -1), "", "x".repeat(5_000), token.toUpperCase()]) {
        assert.equal(await sessions.use(forged), undefined);
      }
    });

    it("ends a session that is idle, and one that is too old however much it is used", async () => {
      const sessions = sessionsOf(stores);
      const idle = await sessions.open(newUser(), ["pwd"]);
      now += 30 * minute - 1;
      assert.ok(await sessions.use(idle.token), "used in time, it lives on");
      now += 29 * minute;
      assert.ok(await sessions.use(idle.token));
      now += 30 * minute;
      assert.equal(await sessions.use(idle.token), undefined);

      const old = await sessions.open(newUser(), ["pwd"]);
      const end = now + 7 * day;
      while (now + 20 * minute < end) {
        now += 20 * minute;
        assert.ok(await sessions.use(old.token));
      }
      now = end;
      assert.equal(await sessions.use(old.token), undefined);
    });

    it("keeps at most five sessions of a user; the oldest ends", async () => {
      const sessions = sessionsOf(stores);
      const user = newUser();
      const opened = [];
      for (let count = 0; count < 6; count += 1) {
        opened.push(await sessions.open(user, ["pwd"]));
        now += 1_000;
      }
      assert.equal(await sessions.use(opened[0]?.token ?? ""), undefined);
      for (const { token } of opened.slice(1)) assert.ok(await sessions.use(token));
      const listed = await sessions.list(user);
      assert.deepEqual(
        listed.map(({ id }) => id),
        opened
          .slice(1)
          .map(({ session }) => session.id)
          .reverse(),
      );
    });

    it("keeps the limit under 50 sign-ins at once", async () => {
      const sessions = sessionsOf(stores);
      const user = newUser();
      const opened = await Promise.all(Array.from({ length: 50 }, async () => await sessions.open(user, ["pwd"])));
      const alive = await Promise.all(opened.map(async ({ token }) => await sessions.use(token)));
      assert.equal(alive.filter((session) => session !== undefined).length, 5);
      assert.equal((await sessions.list(user)).length, 5);
    });

    it("ends one session, or all of a user's, and no one else's", async () => {
      const sessions = sessionsOf(stores);
      const [user, other] = [newUser(), newUser()];
      const [first, second, third] = [
        await sessions.open(user, ["pwd"]),
        await sessions.open(user, ["pwd"]),
        await sessions.open(other, ["pwd"]),
      ];
      assert.equal(await sessions.end(first.session.id), true);
      assert.equal(await sessions.end(first.session.id), false, "it was alive once");
      assert.equal(await sessions.use(first.token), undefined);
      assert.deepEqual(await sessions.endAll(user), [second.session.id]);
      assert.equal(await sessions.use(second.token), undefined);
      assert.ok(await sessions.use(third.token));
    });

    it("has what was written when it is opened again, also from a second replica", async () => {
      const { token, session } = await sessionsOf(stores).open(newUser(), ["pwd"]);
      const second = await backend.open();
      try {
        assert.deepEqual(await sessionsOf(second).use(token), session);
        await sessionsOf(second).end(session.id);
        assert.equal(await sessionsOf(stores).use(token), undefined);
      } finally {
        await second.close();
      }
    });

    it("keeps users, and a name but once", async () => {
      const user = {
        name: newUser(),
        roles: ["editor"],
        attributes: { department: "docs" },
        passwordHash: "$argon2id$…",
        disabled: false,
        createTime: now,
      };
      assert.equal(await stores.identities.findUser(user.name), undefined);
      assert.equal(await stores.identities.createUser(user), true);
      assert.deepEqual(await stores.identities.findUser(user.name), user);
      assert.equal(await stores.identities.createUser({ ...user, roles: ["admin"] }), false);
      assert.deepEqual((await stores.identities.findUser(user.name))?.roles, ["editor"]);
    });
  });
}

it("neither a token nor anything to make one of is in the embedded store, whose file is its owner's", async () => {
  const dir = mkdtempSync(join(tmpdir(), "gatehouse-stores-"));
  const stores = await openAuthStores("", dir);
  const sessions = sessionsIn(stores, Date.now);
  const { token } = await sessions.open("alice", ["pwd"]);
  const bytes = ["auth.db", "auth.db-wal"].map((file) => readFileSync(join(dir, file), "latin1")).join("");
  assert.ok(!bytes.includes(token) && !bytes.includes(Buffer.from(token, "base64url").toString("latin1")));
  assert.equal(statSync(join(dir, "auth.db")).mode & 0o077, 0);
  await stores.close();
  rmSync(dir, { recursive: true });
});

it("a Redis that is gone is UNAVAILABLE soon, and is used again when it is back", async () => {
  const server = await startRedisServer();
  const stores = await openAuthStores(server.url, "");
  const sessions = sessionsIn(stores, Date.now);
  try {
    const { token } = await sessions.open("alice", ["pwd"]);
    await server.kill();
    await assert.rejects(async () => await sessions.use(token), { code: "UNAVAILABLE", reason: "STORE_UNAVAILABLE" });
    await server.start();
    for (let attempt = 0; ; attempt += 1) {
      const session = await Promise.resolve(sessions.use(token)).catch(() => undefined);
      if (session !== undefined) break;
      assert.ok(attempt < 100, "the session is back within 10 s");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  } finally {
    await stores.close();
    await server.stop();
  }
});
