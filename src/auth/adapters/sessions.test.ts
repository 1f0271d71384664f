import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { openSqlite } from "../../shared/store/sqlite.ts";
import { partitionOf, sessionKeyOf } from "../domain/session-keys.ts";
import {
  createSessions,
  type Session,
  type SessionStore,
  type Sessions,
  type SessionsOptions,
} from "../domain/sessions.ts";
import { type StoreBackend, storeBackends } from "../testing/store-backends.ts";
import { createSqliteSessionStore } from "./sqlite-sessions.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
/** As that of a user. */
const epoch = 1_800_000_000_000;

for (const [name, open] of Object.entries(storeBackends)) {
  describe(`sessions in ${name}`, () => {
    let backend: StoreBackend;
    let store: SessionStore;
    let sessions: Sessions;
    let user: string;
    let now: number;
    let users = 0;

    function create(changes: Partial<SessionsOptions> = {}): Sessions {
      return createSessions({
        store,
        clock: () => now,
        random: randomBytes,
        idleTimeoutMs: 30 * minute,
        maxAgeMs: 7 * day,
        limit: 5,
        ...changes,
      });
    }

    before(async () => {
      backend = await open();
      store = backend.sessions;
    });
    after(() => backend.close());
    beforeEach(() => {
      now = Date.now();
      users += 1;
      // A name that would break a hash tag if it were part of one.
      user = `}{user ${users} é`;
      sessions = create();
    });

    it("are opened by their token alone", async () => {
      const { session, token } = await sessions.open(user, ["pwd", "otp"], epoch);
      assert.match(token, /^[A-Za-z0-9_-]{46}$/);
      assert.deepEqual(session, {
        id: session.id,
        user,
        amr: ["pwd", "otp"],
        epoch,
        createTime: now,
        lastUsedTime: now,
        idleExpireTime: now + 30 * minute,
        expireTime: now + 7 * day,
      });
      assert.deepEqual(await sessions.use(token), session);
      const other = (await sessions.open("another", ["pwd"], epoch)).token;
      for (const wrong of [session.id, "", "x", `${token}A`, token.slice(0, 4) + other.slice(4), token.toUpperCase()]) {
        assert.equal(await sessions.use(wrong), undefined, wrong);
      }
    });

    it("are seen by every replica", async () => {
      const replica = create({ store: backend.replica.sessions });
      const { session, token } = await sessions.open(user, ["pwd"], epoch);
      assert.deepEqual(await replica.use(token), session);
      assert.equal(await sessions.end(session.id), true);
      assert.equal(await replica.use(token), undefined);
    });

    it("end when they are not used, and live on when they are", async () => {
      const { token } = await sessions.open(user, ["pwd"], epoch);
      for (let uses = 0; uses < 5; uses += 1) {
        now += 29 * minute;
        assert.ok(await sessions.use(token));
      }
      now += 30 * minute - 1;
      assert.ok(await sessions.use(token));
      now += 30 * minute;
      assert.equal(await sessions.use(token), undefined);
    });

    it("end at their age however much they are used", async () => {
      const { session, token } = await sessions.open(user, ["pwd"], epoch);
      while (now + 29 * minute < session.expireTime) {
        now += 29 * minute;
        const used = await sessions.use(token);
        assert.ok(used && used.idleExpireTime <= session.expireTime);
      }
      now = session.expireTime;
      assert.equal(await sessions.use(token), undefined);
    });

    it("end sooner when the configuration says so", async () => {
      const { token } = await sessions.open(user, ["pwd"], epoch);
      now += 10 * minute;
      assert.equal(await create({ idleTimeoutMs: 10 * minute }).use(token), undefined);
      assert.equal(await create({ maxAgeMs: 10 * minute }).use(token), undefined);
      assert.ok(await sessions.use(token));
    });

    it("record a use at most once a minute", async () => {
      const { session, token } = await sessions.open(user, ["pwd"], epoch);
      now += minute - 1;
      await sessions.use(token);
      assert.deepEqual(await store.find(sessionKeyOf(token)!), session);
      now += 1;
      const used = { ...session, lastUsedTime: now, idleExpireTime: now + 30 * minute };
      assert.deepEqual(await sessions.use(token), used);
      assert.deepEqual(await store.find(sessionKeyOf(token)!), used);
    });

    it("do not go back to an earlier use, nor come back to life by one", async () => {
      const { session, token } = await sessions.open(user, ["pwd"], epoch);
      const key = sessionKeyOf(token)!;
      const later = { lastUsedTime: now + hour, idleExpireTime: now + 2 * hour };
      await store.touch(key, later);
      await store.touch(key, { lastUsedTime: now + minute, idleExpireTime: now + 31 * minute });
      assert.deepEqual(await store.find(key), { ...session, ...later });
      await sessions.end(session.id);
      await store.touch(key, { lastUsedTime: now + 2 * hour, idleExpireTime: now + 3 * hour });
      assert.equal(await store.find(key), undefined);
    });

    it("give way to new ones, the oldest first, and that is told", async () => {
      const opened = [];
      const told: string[] = [];
      sessions = create({ onCrowdedOut: (id) => told.push(id) });
      for (let n = 0; n < 7; n += 1) {
        now += 1;
        opened.push(await sessions.open(user, ["pwd"], epoch));
      }
      const alive = await Promise.all(opened.map(async ({ token }) => (await sessions.use(token)) !== undefined));
      assert.deepEqual(alive, [false, false, true, true, true, true, true]);
      assert.deepEqual(
        told,
        opened.slice(0, 2).map(({ session }) => session.id),
      );
      assert.deepEqual(
        (await sessions.list(user)).map(({ id }) => id),
        opened
          .slice(2)
          .map(({ session }) => session.id)
          .reverse(),
      );
    });

    it("are never more than the limit, with 50 sign-ins at once on two replicas", async () => {
      const replica = create({ store: backend.replica.sessions });
      const opened = await Promise.all(
        Array.from({ length: 50 }, async (_, n) => (n % 2 === 0 ? sessions : replica).open(user, ["pwd"], epoch)),
      );
      const used = await Promise.all(opened.map(({ token }) => sessions.use(token)));
      assert.equal(used.filter((session) => session !== undefined).length, 5);
      assert.equal((await store.list(user)).length, 5);
    });

    it("do not count once they have expired", async () => {
      const old = await Promise.all(Array.from({ length: 4 }, async () => sessions.open(user, ["pwd"], epoch)));
      now += 20 * minute;
      const kept = await sessions.open(user, ["pwd"], epoch);
      now += 10 * minute;
      const added: Session[] = [];
      for (let n = 0; n < 4; n += 1) added.push((await sessions.open(user, ["pwd"], epoch)).session);
      assert.ok(await sessions.use(kept.token));
      assert.equal((await store.list(user)).length, 5);
      for (const { token } of old) assert.equal(await store.find(sessionKeyOf(token)!), undefined);
    });

    it("end one by one and all together, and only their user's", async () => {
      const mine = await Promise.all([1, 2, 3].map(async () => sessions.open(user, ["pwd"], epoch)));
      const other = await sessions.open(`${user} too`, ["pwd"], epoch);
      assert.equal(await sessions.end(mine[0]!.session.id), true);
      assert.equal(await sessions.end(mine[0]!.session.id), false);
      assert.equal(await sessions.end("nonsense"), false);
      assert.equal((await sessions.list(user)).length, 2);
      const ended = await sessions.endAll(user);
      assert.deepEqual(ended.toSorted(), [mine[1]!.session.id, mine[2]!.session.id].toSorted());
      assert.deepEqual(await sessions.endAll(user), []);
      for (const { token } of mine) assert.equal(await sessions.use(token), undefined);
      assert.ok(await sessions.use(other.token));
    });

    it("keep no token", async () => {
      const { session, token } = await sessions.open(user, ["pwd"], epoch);
      const kept = JSON.stringify([
        sessionKeyOf(token),
        await store.find(sessionKeyOf(token)!),
        await store.list(user),
      ]);
      assert.ok(!kept.includes(token));
      assert.equal(sessionKeyOf(token)!.partition, partitionOf(user));
      assert.notEqual(session.id.slice(3), token.slice(3, 24));
    });
  });
}

it("neither a token nor its bytes are in the embedded store's files", async () => {
  const directory = mkdtempSync(join(tmpdir(), "gatehouse-sessions-"));
  const database = openSqlite(join(directory, "auth.db"));
  const store = createSqliteSessionStore(database);
  const options = { clock: Date.now, random: randomBytes, idleTimeoutMs: hour, maxAgeMs: day, limit: 5 };
  const { session, token } = await createSessions({ store, ...options }).open("alice", ["pwd"], epoch);
  const bytes = readdirSync(directory)
    .map((file) => readFileSync(join(directory, file), "latin1"))
    .join("");
  assert.ok(bytes.includes(session.id));
  assert.ok(!bytes.includes(token));
  assert.ok(!bytes.includes(Buffer.from(token, "base64url").toString("latin1")));
  database.close();
  rmSync(directory, { recursive: true });
});
