import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AuthService } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { signIn } from "./support/auth-server.ts";
import { startDeployment } from "./support/deployment.ts";
import { startRedisServer } from "./support/redis-server.ts";

/** Signs in, refreshes and revokes, and has the services killed at once after each answer. */
async function survivesKill(
  env: Readonly<Record<string, string>>,
  alsoKill: () => Promise<void> = async () => undefined,
): Promise<void> {
  const deployment = await startDeployment({ AUTH_ISSUER: "http://auth.test", ...env });
  const client = () =>
    createClient(AuthService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${deployment.ports.auth}` }));
  const crash = async (): Promise<void> => {
    await deployment.auth.stop("SIGKILL");
    await alsoKill();
    await deployment.restart("auth");
  };
  const isGood = async (value: string): Promise<boolean> =>
    await client()
      .authenticate({ credential: { case: "bearerToken", value } })
      .then(
        () => true,
        ({ code }: { code: number }) => {
          assert.equal(code, 16, "it is refused for what it is, not for want of an answer");
          return false;
        },
      );
  try {
    const [kept, revoked, ended] = [await signIn(client()), await signIn(client()), await signIn(client())];
    const { tokens } = await client().refresh({ refreshToken: kept.refreshToken });
    await client().revoke({ target: { case: "token", value: revoked.accessToken } });
    await client().revoke({ target: { case: "token", value: ended.refreshToken } });
    await crash();
    assert.equal(await isGood(kept.accessToken), true, "its key is still there");
    assert.equal(await isGood(tokens?.accessToken ?? ""), true);
    assert.equal(await isGood(revoked.accessToken), false);
    assert.equal(await isGood(revoked.sessionToken), true);
    assert.equal(await isGood(ended.accessToken), false);
    const again = await client().refresh({ refreshToken: tokens?.refreshToken ?? "" });
    assert.ok(again.tokens?.refreshToken);
    await crash();
    await assert.rejects(client().refresh({ refreshToken: kept.refreshToken }), { code: 16 }, "two steps old");
    assert.equal(await isGood(kept.sessionToken), false);
  } finally {
    await deployment.close();
  }
}

test("tokens and what was revoked survive kill -9 of auth-service on SQLite", async () => {
  await survivesKill({});
});

test("tokens and what was revoked survive kill -9 of auth-service and of Redis", async () => {
  const redis = await startRedisServer();
  try {
    await survivesKill({ REDIS_URL: redis.url }, async () => {
      await redis.kill();
      await redis.start();
    });
  } finally {
    await redis.stop();
  }
});
