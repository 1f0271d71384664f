import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { createBus } from "../src/shared/bus/bus.ts";
import { audit } from "../src/shared/bus/topics.ts";
import { openTestLog } from "./support/bus-store.ts";
import { runGatehouse } from "./support/gatehouse-command.ts";
import { startRedisServer } from "./support/redis-server.ts";
import { until } from "./support/until.ts";

for (const name of ["SQLite", "Redis"]) {
  describe(`gatehouse bus on ${name}`, () => {
    it("shows what consumers gave up on, and hands it to them again", async () => {
      const directory = mkdtempSync(join(tmpdir(), "gatehouse-bus-"));
      const redis = name === "Redis" ? await startRedisServer() : undefined;
      const env: Record<string, string> = redis === undefined ? { DATA_DIR: directory } : { REDIS_URL: redis.url };
      const store = redis?.url ?? join(directory, "policy.db");
      const log = openTestLog(store);
      const bus = createBus({ log });
      const ending = new AbortController();
      const run = async (...words: string[]) => {
        const { code, out, err } = await runGatehouse(["bus", ...words, "--json"], env);
        assert.equal(code, 0, err);
        return JSON.parse(out);
      };
      try {
        let broken = true;
        const handled: string[] = [];
        bus.consume(audit, {
          group: "siem",
          consumer: "one",
          maxDeliveries: 2,
          retryAfterMs: 20,
          signal: ending.signal,
          handler({ operation }) {
            if (broken) throw new Error(`cannot take ${operation}`);
            handled.push(operation);
          },
        });
        for (const operation of ["first", "second"])
          await bus.publish(audit, { service: "test", operation, payload: {} });
        // What no version of the program can read.
        await log.append(audit.name, audit.maxLength, Buffer.from([0xff, 0xff]));
        await until("all are dead letters", async () => (await bus.status(audit)).deadLetters === 3);

        const { topics } = await run("status");
        const topic = topics.find((each: { topic: string }) => each.topic === "audit");
        assert.deepEqual([topic.length, topic.deadLetters], [3, 3]);
        assert.deepEqual(topic.groups, [{ name: "siem", lag: 0, pending: 0 }]);
        const { deadLetters } = await run("dead-letters", "list", "audit");
        assert.deepEqual(
          deadLetters.map(({ group, operation, deliveries }: Record<string, unknown>) => [
            group,
            operation,
            deliveries,
          ]),
          [
            ["siem", "first", 2],
            ["siem", "second", 2],
            ["siem", "", 2],
          ],
        );
        assert.match(deadLetters[0].error, /cannot take first/);

        broken = false;
        assert.deepEqual(await run("dead-letters", "replay", "audit", deadLetters[1].id), {
          replayed: [deadLetters[1].id],
        });
        await until("it is handled", async () => handled.length === 1);
        assert.equal((await run("dead-letters", "replay", "audit", "all")).replayed.length, 2);
        await until("the good one is handled, the bad one is back", async () => {
          return handled.length === 2 && (await bus.status(audit)).deadLetters === 1;
        });
        assert.deepEqual(handled, ["second", "first"]);
        assert.equal((await run("dead-letters", "discard", "audit", "all")).discarded.length, 1);
        assert.equal((await bus.status(audit)).deadLetters, 0);

        const none = await runGatehouse(["bus", "dead-letters", "replay", "audit", "1-1"], env);
        assert.deepEqual([none.code, /has no dead letter 1-1/.test(none.err)], [1, true]);
        assert.equal((await runGatehouse(["bus", "dead-letters", "list", "nonsense"], env)).code, 2);
      } finally {
        ending.abort();
        await bus.close();
        await redis?.stop();
        rmSync(directory, { recursive: true });
      }
    });
  });
}

describe("gatehouse bus", () => {
  it("says so when there is no store", async () => {
    const { code, err } = await runGatehouse(["bus", "status"], { DATA_DIR: "/nonexistent" });
    assert.deepEqual([code, err], [1, "There is no store in /nonexistent: set REDIS_URL or DATA_DIR."]);
  });

  it("says so when Redis cannot be reached", async () => {
    const { code, err } = await runGatehouse(["bus", "status"], { REDIS_URL: "redis://127.0.0.1:1" });
    assert.deepEqual([code, /BUS_UNAVAILABLE/.test(err)], [1, true]);
  });
});
