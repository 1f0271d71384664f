/** How revocations reach other replicas, on every store. */
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { createBusRevocationFeed } from "../src/auth/adapters/bus-revocation-feed.ts";
import { watchTopic } from "../src/auth/adapters/revocation-watch.ts";
import { createApiKeys } from "../src/auth/domain/api-keys.ts";
import type { AnnouncedRevocation, RevocationFeed } from "../src/auth/domain/revocation-feed.ts";
import { createRevocations, type Revocation, type Revocations } from "../src/auth/domain/revocations.ts";
import { createSessions } from "../src/auth/domain/sessions.ts";
import type { Stores } from "../src/auth/stores.ts";
import { revocations as topic } from "../src/shared/bus/topics.ts";
import { createLogger } from "../src/shared/logger/logger.ts";
import { eventually } from "./support/eventually.ts";
import { type Backend, backends } from "./support/store-backends.ts";

const hour = 3_600_000;

const kinds: readonly Revocation[] = [
  { kind: "token", tokenId: "token-1", expireTime: 1_900_000_000_000 },
  { kind: "session", sessionId: "session-1" },
  { kind: "user", user: "алиса" },
  { kind: "client", client: "reports" },
  { kind: "apiKey", keyId: "key-1" },
];

interface Replica {
  readonly stores: Stores;
  readonly feed: RevocationFeed;
  readonly revocations: Revocations;
  readonly applied: (AnnouncedRevocation | undefined)[];
}

for (const [name, start] of Object.entries(backends)) {
  describe(`the feed of revocations on ${name}`, () => {
    let backend: Backend;
    let one: Replica;
    let two: Replica;
    /** Added to the clocks of both. */
    let ahead = 0;
    const clock = (): number => Date.now() + ahead;

    async function replica(): Promise<Replica> {
      const stores = await backend.open(Date.now);
      const applied: Replica["applied"] = [];
      const feed = createBusRevocationFeed({
        bus: stores.bus,
        retentionMs: hour,
        forget: (announced) => applied.push(announced),
        logger: createLogger({ service: "test", level: "silent" }),
      });
      feed.start();
      const common = { clock, random: randomBytes };
      const bounds = { idleTimeoutMs: hour, maxAgeMs: hour, limit: 5 };
      const revocations = createRevocations({
        store: stores.revocations,
        sessions: createSessions({ ...common, ...bounds, store: stores.sessions }),
        families: stores.refreshFamilies,
        apiKeys: createApiKeys({ ...common, store: stores.apiKeys }),
        journal: stores.revocationJournal,
        announce: (begun) => feed.announce(begun),
        clock,
        retentionMs: hour,
      });
      return { stores, feed, revocations, applied };
    }

    before(async () => {
      backend = await start();
      [one, two] = [await replica(), await replica()];
      await eventually(() => assert.ok(one.feed.isFresh() && two.feed.isFresh()));
    });
    after(async () => {
      for (const { feed, stores } of [one, two]) {
        await feed.close();
        await stores.close();
      }
      await backend.close();
    });

    const soon = (): number => Date.now() + 10_000;

    it("brings every kind to every replica, with its time, and tells when it has", async () => {
      for (const revocation of kinds) {
        const time = Date.now();
        const position = await one.revocations.revoke(revocation);
        for (const { feed, applied } of [one, two]) {
          await feed.waitFor(position, soon());
          const last = applied.at(-1);
          assert.deepEqual(last?.revocation, revocation);
          assert.equal(last?.position, position);
          assert.ok(Math.abs((last?.time ?? 0) - time) < 5_000);
          assert.equal(feed.position, position);
        }
      }
    });

    it("does not tell of a position that was not reached by the deadline", async () => {
      await assert.rejects(two.feed.waitFor("9999999999999-0", Date.now() + 50), {
        code: "DEADLINE_EXCEEDED",
        reason: "BUS_WAIT_EXPIRED",
      });
      await assert.rejects(two.feed.waitFor("yesterday", soon()), { code: "INVALID_ARGUMENT" });
      const soonOver = Date.now() + 500;
      const waits = Array.from({ length: 101 }, () => two.feed.waitFor("9999999999999-0", soonOver));
      const answers = await Promise.allSettled(waits);
      const reasons = answers.map((answer) => answer.status === "rejected" && answer.reason.reason);
      assert.equal(reasons.filter((reason) => reason === "BUS_WAIT_EXPIRED").length, 100);
      assert.equal(reasons[100], "BUS_TOO_MANY_WAITERS");
      await two.feed.waitFor(two.feed.position ?? "", soon());
    });

    it("can be watched from now and from a position, and the watch ends when it is aborted", async () => {
      const begin = await one.revocations.revoke({ kind: "client", client: "first" });
      const ending = new AbortController();
      const watch = async (after: string, count: number, seen: unknown[] = []): Promise<unknown[]> => {
        for await (const entry of two.feed.watch(after, ending.signal)) {
          seen.push("revocation" in entry ? entry.revocation : entry);
          if (seen.length === count) break;
        }
        return seen;
      };
      const short: unknown[] = [];
      const fromNow = watch("", 2, short);
      const lasting: unknown[] = [];
      const forever = watch("", 1_000, lasting);
      // Both have been told where they begin, which had to be asked for.
      await eventually(() => assert.deepEqual([short.length, lasting.length], [1, 1]));
      assert.equal(two.feed.watchers, 2);
      const second: Revocation = { kind: "session", sessionId: "second" };
      await one.revocations.revoke(second);
      assert.deepEqual(await fromNow, [{ position: begin }, second]);
      assert.deepEqual(await watch(begin, 2), [{ position: begin }, second]);
      await eventually(() => assert.equal(lasting.length, 2));
      ending.abort();
      await forever;
      assert.equal(two.feed.watchers, 0);
    });

    it("refuses to be watched from a position that it does not have, and by too many", async () => {
      const { signal } = new AbortController();
      const drain = async (after: string): Promise<void> => {
        for await (const _ of two.feed.watch(after, signal));
      };
      await assert.rejects(drain("9999999999999-0"), { code: "OUT_OF_RANGE", reason: "REVOCATIONS_NOT_KEPT" });
      await assert.rejects(drain("1-0; DROP"), { code: "INVALID_ARGUMENT" });
      const open = Array.from({ length: 64 }, () => two.feed.watch("", signal));
      for (const watch of open) await watch.next();
      await assert.rejects(two.feed.watch("", signal).next(), {
        code: "RESOURCE_EXHAUSTED",
        reason: "TOO_MANY_WATCHERS",
      });
      for (const watch of open) await watch.return(undefined);
      assert.equal(two.feed.watchers, 0);
    });

    it("ends the watch of one who does not read", async () => {
      const position = await one.stores.bus.position(topic);
      const watch = watchTopic(two.stores.bus, topic, position, new AbortController().signal, 1_000);
      await one.revocations.revoke({ kind: "client", client: "x" });
      await watch.next();
      for (let i = 0; i < 300; i += 1) {
        await one.feed.announce({ id: randomUUID(), time: Date.now(), revocation: { kind: "client", client: "x" } });
      }
      await new Promise((resolve) => setTimeout(resolve, 2_500));
      const rest = (async () => {
        for await (const _ of watch);
      })();
      await assert.rejects(rest, { code: "RESOURCE_EXHAUSTED", reason: "WATCHER_TOO_SLOW" });
    });

    it("carries out on any replica what another has begun and left", async () => {
      const revocation: Revocation = { kind: "token", tokenId: "abandoned", expireTime: Date.now() + hour };
      await one.stores.revocationJournal.begin({ id: randomUUID(), time: Date.now(), revocation });
      assert.equal(await two.revocations.resume(), 0, "it may still be at it");
      ahead = 5_000;
      assert.equal(await two.revocations.resume(), 1);
      ahead = 0;
      assert.equal(await one.stores.revocations.isTokenRevoked("abandoned"), true);
      await eventually(() => {
        for (const { applied } of [one, two]) assert.deepEqual(applied.at(-1)?.revocation, revocation);
      });
      ahead = 10_000;
      assert.equal(await one.revocations.resume(), 0, "once is enough");
      ahead = 0;
    });

    it("leaves what a newer version has begun to that version, and carries out the rest", async () => {
      const time = Date.now();
      const unknown = { id: randomUUID(), time, revocation: { kind: "planet" } as unknown as Revocation };
      const known: Revocation = { kind: "token", tokenId: "beside it", expireTime: time + hour };
      await one.stores.revocationJournal.begin(unknown);
      await one.stores.revocationJournal.begin({ id: randomUUID(), time: time + 1, revocation: known });
      ahead = 5_000;
      await assert.rejects(async () => two.revocations.resume(), /unknown kind: planet/);
      assert.equal(await one.stores.revocations.isTokenRevoked("beside it"), true);
      const left = await one.stores.revocationJournal.unfinished(time + hour, 10);
      assert.deepEqual(left, [unknown]);
      ahead = 0;
    });
  });
}
