/** Three replicas on a Redis Cluster of six nodes, while primaries are killed: what was revoked before, meanwhile and after is refused. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Code } from "@connectrpc/connect";
import { partitionOf } from "../../src/auth/domain/session-keys.ts";
import { type AuthReplica, startAuthReplica } from "../support/auth-replica.ts";
import { signIn } from "../support/auth-server.ts";
import { until } from "../support/until.ts";
import { type RedisCluster, startRedisCluster } from "./redis-cluster.ts";

describe("revocation on a Redis Cluster of six nodes", () => {
  let cluster: RedisCluster;
  let replicas: AuthReplica[];

  before(async () => {
    cluster = await startRedisCluster();
    const env = { REDIS_URL: cluster.url, SESSION_LIMIT: "100", LOG_LEVEL: "warn" };
    replicas = [];
    for (let i = 0; i < 3; i += 1) replicas.push(await startAuthReplica(env));
  });
  after(async () => {
    await Promise.all((replicas ?? []).map((replica) => replica.close()));
    await cluster.stop();
  });

  const first = (): AuthReplica => replicas[0]!;
  const say = async ({ auth }: AuthReplica, value: string): Promise<Code | "ok"> =>
    await auth.authenticate({ credential: { case: "bearerToken", value } }, { timeoutMs: 5_000 }).then(
      () => "ok" as const,
      ({ code }: { code: Code }) => code,
    );
  const sayAll = (token: string): Promise<(Code | "ok")[]> =>
    Promise.all(replicas.map((replica) => say(replica, token)));
  const all = (answer: Code | "ok"): (Code | "ok")[] => replicas.map(() => answer);
  const revoke = async (value: string): Promise<string> =>
    (await first().auth.revoke({ target: { case: "token", value } }, { timeoutMs: 5_000 })).position;
  const sayEventually = (token: string, answer: Code | "ok"): Promise<void> =>
    until(`every replica says ${answer}`, async () => (await sayAll(token)).every((each) => each === answer));

  // The slot of the user, and that of the feed.
  for (const key of [`{${partitionOf("alice")}}`, "gatehouse:{bus:revocations}:stream"]) {
    it(`outlives the primary of ${key}`, async () => {
      const sessions = [];
      for (let i = 0; i < 6; i += 1) sessions.push(await signIn(first().auth));
      const [before = { accessToken: "", sessionToken: "" }, meanwhile, later, good] = sessions;
      assert.ok(meanwhile !== undefined && later !== undefined && good !== undefined);
      const positions = [await revoke(before.accessToken), await revoke(before.sessionToken)];
      // A primary answers before its replica has it.
      await sleep(200);

      let over = false;
      const wrong: string[] = [];
      const watching = (async () => {
        while (!over) {
          for (const token of [before.accessToken, before.sessionToken]) {
            if ((await sayAll(token)).includes("ok")) wrong.push("accepted what was revoked");
          }
          if ((await sayAll(good.accessToken)).includes(Code.Unauthenticated)) wrong.push("refused what was good");
          await sleep(20);
        }
      })();
      // Repeated until it is acknowledged, as a caller would.
      const revoking = until("a revocation is acknowledged in the midst of it", async () => {
        await sleep(300);
        return await revoke(meanwhile.accessToken).then(
          () => true,
          () => false,
        );
      });
      const killed = await cluster.failOver(key);
      await revoking;
      await sayEventually(meanwhile.accessToken, Code.Unauthenticated);
      await sayEventually(good.accessToken, "ok");
      over = true;
      await watching;
      assert.deepEqual(wrong, []);

      await until("another is acknowledged", () =>
        revoke(later.sessionToken).then(
          (position) => positions.push(position) > 0,
          () => false,
        ),
      );
      assert.deepEqual(await sayAll(later.sessionToken), all(Code.Unauthenticated));
      for (const position of positions) {
        for (const { auth } of replicas) await auth.waitForRevocation({ position }, { timeoutMs: 20_000 });
      }
      await cluster.restart(killed);
      for (const token of [before.accessToken, before.sessionToken, meanwhile.accessToken, later.accessToken]) {
        await sayEventually(token, Code.Unauthenticated);
      }
      assert.deepEqual(await sayAll(good.sessionToken), all("ok"));
    });
  }
});
