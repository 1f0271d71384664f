import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { startRedisServer } from "../../../test/support/redis-server.ts";
import { createLogger } from "../../shared/logger/logger.ts";
import type { EntityJson } from "../cedar/types.ts";
import { contentHash } from "../domain/policy-source.ts";
import { initialState, keptRevisions, type NewRevision } from "../domain/revision-store.ts";
import { openPolicyStores, type PolicyStores } from "../stores.ts";

type Started = { readonly redisUrl: string; readonly dataDir: string; stop(): Promise<void> | void };

const backends: Readonly<Record<string, () => Promise<Started>>> = {
  SQLite: async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "gatehouse-policy-"));
    return { redisUrl: "", dataDir, stop: () => rmSync(dataDir, { recursive: true, force: true }) };
  },
  Redis: async () => {
    const server = await startRedisServer();
    return { redisUrl: server.url, dataDir: "", stop: server.stop };
  },
  "Redis Cluster": async () => {
    const server = await startRedisServer({ cluster: true });
    return { redisUrl: `redis+cluster://127.0.0.1:${server.port}`, dataDir: "", stop: server.stop };
  },
};

function revision(n: number): NewRevision {
  const files = [{ name: "a.cedar", text: `// ${n}` }];
  const source = { files, schema: "", links: "", skipFailingForbids: false };
  return { contentHash: contentHash(source), createTime: n, comment: `${n}`, policyCount: 0, source };
}

const user = (id: string, level = 1): EntityJson => ({ uid: { type: "User", id }, attrs: { level } });

for (const [name, start] of Object.entries(backends)) {
  describe(`policies and entities in ${name}`, () => {
    let backend: Started;
    let one: PolicyStores;
    let two: PolicyStores;
    before(async () => {
      backend = await start();
      const logger = createLogger({ service: "test", level: "silent" });
      one = openPolicyStores({ ...backend, logger });
      two = openPolicyStores({ ...backend, logger });
      // Redis is connected to in the background.
      for (const stores of [one, two]) {
        for (let tries = 0; ; tries += 1) {
          try {
            await stores.revisions.state();
            break;
          } catch (error) {
            if (tries > 100) throw error;
            await new Promise((resolve) => setTimeout(resolve, 50));
          }
        }
      }
    });
    after(async () => {
      await one.close();
      await two.close();
      await backend.stop();
    });

    it("stores a revision once, whoever publishes it, and reads it whole", async () => {
      const answers = await Promise.all([one, two, one, two].map(({ revisions }) => revisions.publish(revision(0))));
      const [first] = answers;
      assert.deepEqual(answers, [first, first, first, first]);
      assert.equal(first?.sequence, 1);
      assert.deepEqual(await two.revisions.find(first?.id ?? ""), first);
      assert.deepEqual(await two.revisions.source(first?.id ?? ""), revision(0).source);
      assert.equal(await one.revisions.find("9-000000000000"), undefined);
      assert.equal(await one.revisions.source("9-000000000000"), undefined);
    });

    it("changes the state for one of those who change it at once", async () => {
      assert.deepEqual(await one.revisions.state(), initialState);
      const [first] = await one.revisions.list(Number.MAX_SAFE_INTEGER, 1);
      const next = { ...initialState, generation: 1, active: first?.id ?? "" };
      const won = await Promise.all([one, two, one, two].map(({ revisions }) => revisions.change(next)));
      assert.equal(won.filter(Boolean).length, 1);
      // JSON has no undefined: what is absent is as in the initial state.
      assert.deepEqual({ ...initialState, ...(await two.revisions.state()) }, next);
      assert.equal(await one.revisions.change({ ...next, generation: 3 }), false);
    });

    it("keeps so many revisions, and older ones that the state names", async () => {
      const [active] = await one.revisions.list(Number.MAX_SAFE_INTEGER, 1);
      for (let n = 1; n <= keptRevisions + 5; n += 1) await one.revisions.publish(revision(n));
      const kept = await two.revisions.list(Number.MAX_SAFE_INTEGER, 2_000);
      assert.equal(kept.length, keptRevisions + 1);
      assert.deepEqual([kept[0]?.comment, kept.at(-1)?.id], [`${keptRevisions + 5}`, active?.id]);
      assert.equal(kept.at(-2)?.sequence, 7);
      const page = await one.revisions.list(kept[0]?.sequence ?? 0, 2);
      assert.deepEqual(page, kept.slice(1, 3));
      // What was removed can be published anew, under a new name.
      const again = await two.revisions.publish(revision(1));
      assert.equal(again.sequence, keptRevisions + 7);
    });

    it("changes entities at the expected revision only, whole", async () => {
      assert.deepEqual(await one.entities.load(), { revision: 0, entities: [] });
      const changes = [one, two, one, two].map(({ entities }, n) =>
        entities.change(0, { puts: [user("ann", n), user("ben", n)], deletes: [] }),
      );
      const won = (await Promise.all(changes)).filter((answer) => answer !== undefined);
      assert.deepEqual(won, [1]);
      const { revision: at, entities } = await two.entities.load();
      assert.equal(at, 1);
      assert.equal(new Set(entities.map(({ attrs }) => attrs?.level)).size, 1, "of one change");
      const change = {
        puts: [user("ann", 9)],
        deletes: [
          { type: "User", id: "ben" },
          { type: "User", id: "x" },
        ],
      };
      assert.equal(await two.entities.change(1, change), 2);
      assert.equal(await one.entities.revision(), 2);
      const read = await one.entities.read([
        { type: "User", id: "ann" },
        { type: "User", id: "ben" },
      ]);
      assert.deepEqual(read, { revision: 2, entities: [user("ann", 9)] });
      assert.deepEqual(await one.entities.read([]), { revision: 2, entities: [] });
    });

    it("reads many entities, whatever is in their names", async () => {
      const odd = ["", "\n", "\u0000", "é", '"', "x".repeat(1_000)].map((id) => user(`odd${id}`));
      const many = [...odd, ...Array.from({ length: 5_000 }, (_, n) => user(`u${n}`))];
      assert.equal(await one.entities.change(2, { puts: many, deletes: [] }), 3);
      const { entities } = await two.entities.load();
      assert.equal(entities.length, many.length + 1);
      const { entities: found } = await two.entities.read(odd.map(({ uid }) => uid as { type: string; id: string }));
      assert.deepEqual(found, odd);
    });

    it("keeps the last shadow report of each replica", async () => {
      await one.revisions.saveShadowReport("c1", "a", "1");
      await two.revisions.saveShadowReport("c1", "b", "2");
      await one.revisions.saveShadowReport("c1", "a", "3");
      const reports = await two.revisions.shadowReports("c1");
      assert.deepEqual([...reports].sort(), [
        ["a", "3"],
        ["b", "2"],
      ]);
      assert.equal((await one.revisions.shadowReports("c2")).size, 0);
    });
  });
}
