import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AuthService } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { startDeployment } from "./support/deployment.ts";
import { startRedisServer } from "./support/redis-server.ts";

async function survivesKill(env: Readonly<Record<string, string>>): Promise<void> {
  const deployment = await startDeployment(env);
  try {
    const client = () =>
      createClient(AuthService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${deployment.ports.auth}` }));
    const { sessionToken, session } = await client().authenticate({
      credential: { case: "password", value: { username: "alice", password: "wonderland" } },
    });
    await deployment.auth.stop("SIGKILL");
    await deployment.restart("auth");
    const again = await client().authenticate({ credential: { case: "bearerToken", value: sessionToken } });
    assert.equal(again.principal?.id, "alice");
    assert.equal(again.session?.id, session?.id);
  } finally {
    await deployment.close();
  }
}

test("sessions survive kill -9 of auth-service on SQLite", async () => {
  await survivesKill({});
});

test("sessions survive kill -9 of auth-service on Redis", async () => {
  const redis = await startRedisServer();
  try {
    await survivesKill({ REDIS_URL: redis.url });
  } finally {
    await redis.stop();
  }
});
