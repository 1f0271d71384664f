/** The contract suites of stores and bus on a cluster of six nodes, before a primary is killed, after it, and after its return. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { type RedisCluster, startRedisCluster } from "./redis-cluster.ts";

const suites = [
  "src/auth/adapters/sessions.test.ts",
  "src/auth/adapters/identities.test.ts",
  "src/auth/adapters/api-keys.test.ts",
  "src/shared/bus/redis-log.test.ts",
  "test/token-stores.test.ts",
  "test/revocations.test.ts",
  "test/revocation-feed.test.ts",
];

describe("on a Redis Cluster of six nodes", () => {
  let cluster: RedisCluster;
  before(async () => {
    cluster = await startRedisCluster();
  });
  after(() => cluster.stop());

  /** Runs the suites on the cluster; answers how many tests there were. */
  async function runSuites(): Promise<number> {
    const args = ["--test", "--test-concurrency=1", "--test-reporter=tap", "--test-name-pattern=Redis Cluster"];
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const child = spawn(process.execPath, [...args, ...suites], {
      env: { ...env, TEST_REDIS_CLUSTER: String(cluster.ports[0]) },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const output = await text(child.stdout);
    const count = (what: string): number => Number(new RegExp(`^# ${what} (\\d+)$`, "m").exec(output)?.[1] ?? -1);
    assert.equal(count("fail"), 0, output);
    return count("pass");
  }

  let passed = 0;
  let killed = 0;

  it("the contracts of stores and bus hold", async () => {
    passed = await runSuites();
    assert.ok(passed > 40, `${passed} tests`);
  });

  it("and hold after a primary was killed", async () => {
    killed = await cluster.failOver("gatehouse:{bus:revocations}:stream");
    assert.equal(await runSuites(), passed);
  });

  it("and when it has come back", async () => {
    await cluster.restart(killed);
    assert.equal(await runSuites(), passed);
  });
});
