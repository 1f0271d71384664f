/** Three replicas as processes on one Redis: what is revoked on one is refused by all, whatever becomes of them and of Redis. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Code } from "@connectrpc/connect";
import { Redis } from "ioredis";
import { type AuthReplica, startAuthReplica } from "./support/auth-replica.ts";
import { signIn } from "./support/auth-server.ts";
import { type RedisServer, startRedisServer } from "./support/redis-server.ts";
import { until } from "./support/until.ts";

const stream = "gatehouse:{bus:revocations}:stream";
const sessionLimit = 30;

describe("three replicas on one Redis", () => {
  let redis: RedisServer;
  let replicas: AuthReplica[];

  before(async () => {
    redis = await startRedisServer();
    const env = { REDIS_URL: redis.url, SESSION_LIMIT: String(sessionLimit), LOG_LEVEL: "warn" };
    // One after the other, so that they do not all make the demo's users.
    replicas = [];
    for (let i = 0; i < 3; i += 1) replicas.push(await startAuthReplica(env));
  });
  after(async () => {
    await Promise.all((replicas ?? []).map((replica) => replica.close()));
    await redis.stop();
  });

  const first = (): AuthReplica => replicas[0]!;

  /** What a replica says of a token: the code of its refusal, or `ok`. */
  const say = async ({ auth }: AuthReplica, value: string): Promise<Code | "ok"> =>
    await auth.authenticate({ credential: { case: "bearerToken", value } }, { timeoutMs: 20_000 }).then(
      () => "ok" as const,
      ({ code }: { code: Code }) => code,
    );
  const sayAll = (token: string): Promise<(Code | "ok")[]> =>
    Promise.all(replicas.map((replica) => say(replica, token)));
  const all = (answer: Code | "ok"): (Code | "ok")[] => replicas.map(() => answer);

  const revoke = async (value: string): Promise<string> =>
    (await first().auth.revoke({ target: { case: "token", value } })).position;

  const untilAll = (what: string, token: string, answer: Code | "ok"): Promise<void> =>
    until(what, async () => (await sayAll(token)).every((each) => each === answer));

  it("refuse at once what one of them has revoked, and can be waited for", async () => {
    const { accessToken, sessionToken } = await signIn(first().auth);
    const other = await signIn(first().auth);
    for (const token of [accessToken, sessionToken]) {
      assert.deepEqual(await sayAll(token), all("ok"));
      const position = await revoke(token);
      assert.deepEqual(await sayAll(token), all(Code.Unauthenticated));
      const seen = await Promise.all(replicas.map(({ auth }) => auth.waitForRevocation({ position })));
      for (const answer of seen) assert.equal(answer.position, position);
    }
    assert.deepEqual(await sayAll(other.accessToken), all("ok"));
    for (const replica of replicas) {
      assert.equal(await replica.metric("revocation_feed_fresh"), 1);
      assert.equal(await replica.metric("revocation_propagation_seconds_count"), 2);
    }
    await assert.rejects(first().auth.waitForRevocation({ position: "9999999999999-0" }, { timeoutMs: 200 }), {
      code: Code.DeadlineExceeded,
    });
  });

  it("refuse what was revoked while they were stopped, also when they are asked before they wake", async () => {
    const sessions = [await signIn(first().auth), await signIn(first().auth)];
    const tokens = sessions.flatMap(({ accessToken, sessionToken }) => [accessToken, sessionToken]);
    const stopped = replicas[1]!;
    for (const token of tokens) assert.equal(await say(stopped, token), "ok");
    stopped.service.signal("SIGSTOP");
    for (const token of tokens) await revoke(token);
    const asked = tokens.map((token) => say(stopped, token));
    await sleep(5_000);
    stopped.service.signal("SIGCONT");
    const askedAtOnce = tokens.map((token) => say(stopped, token));
    const refused = tokens.map(() => Code.Unauthenticated);
    assert.deepEqual(await Promise.all(asked), refused);
    assert.deepEqual(await Promise.all(askedAtOnce), refused);
    await until("it follows again", async () => (await stopped.metric("revocation_feed_fresh")) === 1);
  });

  it("refuse what was revoked while they were dead", async () => {
    const { accessToken, sessionToken } = await signIn(first().auth);
    const other = await signIn(first().auth);
    const killed = replicas[2]!;
    await killed.service.stop("SIGKILL");
    const positions = [await revoke(accessToken), await revoke(sessionToken)];
    await killed.restart();
    for (const token of [accessToken, sessionToken]) assert.deepEqual(await sayAll(token), all(Code.Unauthenticated));
    for (const position of positions) await killed.auth.waitForRevocation({ position }, { timeoutMs: 10_000 });
    assert.deepEqual(await sayAll(other.sessionToken), all("ok"));
  });

  it("ask the store when the feed is lost, and announce what could not be once it is back", async () => {
    const { accessToken, sessionToken } = await signIn(first().auth);
    const other = await signIn(first().auth);
    const commands = new Redis(redis.port);
    const resumed = async (): Promise<number> =>
      (await Promise.all(replicas.map((replica) => replica.metric("revocations_resumed_total")))).reduce(
        (a, b) => a + b,
      );
    try {
      const before = await resumed();
      await commands.set(stream, "no stream");
      await until("every replica knows that it cannot follow", async () => {
        const fresh = await Promise.all(replicas.map((replica) => replica.metric("revocation_feed_fresh")));
        return fresh.every((each) => each === 0);
      });
      for (const token of [accessToken, sessionToken]) {
        await assert.rejects(revoke(token), { code: Code.Unavailable });
        assert.deepEqual(await sayAll(token), all(Code.Unauthenticated));
      }
      assert.deepEqual(await sayAll(other.accessToken), all("ok"));
      await commands.del(stream);
      await until("both are announced", async () => (await commands.xlen(stream)) >= 2);
      await until("nothing is left", async () => (await commands.zcard("gatehouse:{revocations}:begun")) === 0);
      assert.ok((await resumed()) >= before + 2);
      for (const replica of replicas) {
        await until("it follows again", async () => (await replica.metric("revocation_feed_fresh")) === 1);
        assert.ok((await replica.metric("revocation_feed_gaps_total")) >= 1);
      }
    } finally {
      commands.disconnect();
    }
  });

  it("accept nothing while Redis is dead, and after it know what was revoked and what was not", async () => {
    const { accessToken, sessionToken } = await signIn(first().auth);
    const other = await signIn(first().auth);
    const position = await revoke(accessToken);
    await redis.kill();
    for (const token of [accessToken, sessionToken, other.accessToken, other.sessionToken, accessToken]) {
      assert.deepEqual(await sayAll(token), all(Code.Unavailable));
    }
    await assert.rejects(revoke(sessionToken), { code: Code.Unavailable });
    await redis.start();
    for (const token of [sessionToken, other.accessToken, other.sessionToken]) {
      await untilAll("good tokens are accepted again", token, "ok");
    }
    assert.deepEqual(await sayAll(accessToken), all(Code.Unauthenticated));
    // The bus has a connection of its own, which may take a moment longer.
    await until("a revocation is acknowledged", () =>
      revoke(sessionToken).then(
        () => true,
        () => false,
      ),
    );
    assert.deepEqual(await sayAll(sessionToken), all(Code.Unauthenticated));
    for (const { auth } of replicas) await auth.waitForRevocation({ position }, { timeoutMs: 10_000 });
  });

  it("leave a user as many sessions as are allowed, however many are opened at once", async () => {
    const applied = (): Promise<number[]> =>
      Promise.all(replicas.map((replica) => replica.metric("revocation_propagation_seconds_count")));
    const before = await applied();
    const opened = await Promise.all(
      Array.from({ length: sessionLimit + 15 }, (_, i) => signIn(replicas[i % 3]!.auth, [], "bob")),
    );
    const answers = await Promise.all(opened.map(({ sessionToken }) => sayAll(sessionToken)));
    const alive = opened.filter((_, i) => answers[i]?.every((each) => each === "ok"));
    assert.equal(alive.length, sessionLimit);
    for (const each of answers) assert.equal(new Set(each).size, 1, "the replicas agree");
    await until("those that were crowded out are announced", async () =>
      (await applied()).every((count, i) => count >= (before[i] ?? 0) + 15),
    );

    const [one, two] = alive;
    assert.ok(one !== undefined && two !== undefined);
    const list = async (replica: AuthReplica): Promise<string[]> =>
      (await replica.auth.listSessions({ bearerToken: two.sessionToken })).sessions.map(({ id }) => id).sort();
    const ids = alive.map(({ sessionId }) => sessionId).sort();
    for (const replica of replicas) assert.deepEqual(await list(replica), ids);
    await revoke(one.sessionToken);
    for (const replica of replicas) {
      assert.deepEqual(
        await list(replica),
        ids.filter((id) => id !== one.sessionId),
      );
    }
    for (const { accessToken } of [one]) assert.deepEqual(await sayAll(accessToken), all(Code.Unauthenticated));
  });
});
