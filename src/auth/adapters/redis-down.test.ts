import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Cluster, Redis } from "ioredis";
import { type RedisServer, startRedisServer } from "../../../test/support/redis-server.ts";
import { ServiceError } from "../../shared/service-error.ts";
import { createRedisConnector } from "../../shared/store/redis.ts";
import { withoutCommand } from "../../shared/store/redis-errors.ts";
import { sessionKeyOf } from "../domain/session-keys.ts";
import type { SessionStore } from "../domain/sessions.ts";
import { createRedisIdentityStore } from "./redis-identities.ts";
import { createRedisSessionStore } from "./redis-sessions.ts";

const token = `K9g${"A".repeat(43)}`;

async function refusal(call: PromiseLike<unknown>): Promise<ServiceError> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof ServiceError, String(error));
    return error;
  }
  assert.fail("It was not refused.");
}

/** Everything that a log could show of an error. */
function everythingIn(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = Object.getOwnPropertyNames(error).map((name) => JSON.stringify(Reflect.get(error, name)));
  return `${error} ${own.join(" ")} ${everythingIn(error.cause)}`;
}

describe("a Redis that is not there", () => {
  let server: RedisServer;
  let redis: Redis | Cluster;
  let store: SessionStore;
  before(async () => {
    server = await startRedisServer();
    redis = createRedisConnector({ url: server.url })("commands");
    redis.on("error", () => undefined);
    store = createRedisSessionStore(redis);
    await new Promise<void>((resolve) => redis.once("ready", () => resolve()));
  });
  after(async () => {
    redis.disconnect();
    await server.stop();
  });

  it("makes every call UNAVAILABLE, and is used again once it is back", async () => {
    await server.kill();
    const start = performance.now();
    for (const call of [
      () => store.find(sessionKeyOf(token)!),
      () => store.list("alice"),
      () => store.removeAll("alice"),
      () => createRedisIdentityStore(redis).findUser("alice"),
    ]) {
      const error = await refusal(Promise.resolve(call()));
      assert.deepEqual([error.code, error.reason], ["UNAVAILABLE", "STORE_UNAVAILABLE"]);
      assert.ok(error.retryAfterMs);
      assert.ok(!everythingIn(error).includes(sessionKeyOf(token)!.tokenHash));
    }
    assert.ok(performance.now() - start < 5_000);
    await server.start();
    // It may have connected while the server was waited for.
    if (redis.status !== "ready") await new Promise<void>((resolve) => redis.once("ready", () => resolve()));
    assert.equal(await store.find(sessionKeyOf(token)!), undefined);
    assert.deepEqual(await store.list("alice"), []);
  });

  it("makes a call UNAVAILABLE within its time when it hangs", async () => {
    process.kill(server.pid, "SIGSTOP");
    try {
      const error = await refusal(Promise.resolve(store.find(sessionKeyOf(token)!)));
      assert.equal(error.code, "UNAVAILABLE");
    } finally {
      process.kill(server.pid, "SIGCONT");
    }
  });
});

describe("a Redis that asks for a password", () => {
  let server: RedisServer;
  before(async () => {
    server = await startRedisServer({ password: "p@ss/word" });
  });
  after(() => server.stop());

  it("is used with the one in the URL", async () => {
    const redis = createRedisConnector({ url: `redis://:p%40ss%2Fword@127.0.0.1:${server.port}` })("commands");
    await new Promise<void>((resolve) => redis.once("ready", () => resolve()));
    assert.equal(await createRedisSessionStore(redis).find(sessionKeyOf(token)!), undefined);
    redis.disconnect();
  });

  it("is unavailable with a wrong one, which no error repeats", async () => {
    const redis = createRedisConnector({ url: `redis://:hunter2@127.0.0.1:${server.port}` })("commands");
    const failed = new Promise<Error>((resolve) => redis.on("error", resolve));

    const logged = withoutCommand(await failed);
    assert.match(logged.message, /WRONGPASS/);
    assert.doesNotMatch(everythingIn(logged), /hunter2/);
    const error = await refusal(Promise.resolve(createRedisSessionStore(redis).find(sessionKeyOf(token)!)));
    assert.equal(error.code, "UNAVAILABLE");
    assert.doesNotMatch(everythingIn(error), /hunter2/);
    redis.disconnect();
  });
});
