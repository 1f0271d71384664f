import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AuthService } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { IdentityService } from "../gen/gatehouse/auth/v1/identity_service_pb.ts";
import { bootstrapAdmin } from "../src/auth/bootstrap.ts";
import { createApiKeys } from "../src/auth/domain/api-keys.ts";
import { type StoreBackend, type StoreReplica, storeBackends } from "../src/auth/testing/store-backends.ts";
import { startChildService } from "../src/cli/child-service.ts";
import { startDeployment } from "./support/deployment.ts";
import { freePort } from "./support/ports.ts";
import { startRedisServer } from "./support/redis-server.ts";
import { until } from "./support/until.ts";

const keyPattern = /gh_[A-Za-z0-9_-]{64}/g;

for (const [name, open] of Object.entries(storeBackends)) {
  describe(`the first admin on ${name}`, () => {
    let stores: StoreBackend;
    const announced: string[] = [];
    const apiKeysOf = ({ apiKeys }: StoreReplica) =>
      createApiKeys({ store: apiKeys, clock: Date.now, random: randomBytes });
    const bootstrap = (on: StoreReplica): Promise<void> =>
      bootstrapAdmin({
        identities: on.identities,
        apiKeys: apiKeysOf(on),
        clock: Date.now,
        announce: (text) => announced.push(text),
      });

    before(async () => {
      stores = await open();
    });
    after(() => stores.close());

    it("is made once by ten replicas that start together, with one key that is good", async () => {
      await Promise.all(Array.from({ length: 10 }, (_, n) => bootstrap(n % 2 === 0 ? stores : stores.replica)));
      await bootstrap(stores);
      assert.equal(announced.length, 1);
      const [key = ""] = announced[0]?.match(keyPattern) ?? [];
      assert.equal((await apiKeysOf(stores).use(key))?.user, "admin");
      assert.deepEqual((await stores.identities.findUser("admin"))?.roles, ["gatehouse-admin"]);
    });

    it("has a key from the next start when the first ended before it was made", async () => {
      announced.length = 0;
      const [key] = await apiKeysOf(stores).list("admin");
      await apiKeysOf(stores).revoke(key?.id ?? "");
      await bootstrap(stores);
      assert.equal(announced.length, 1);
    });

    it("is not made where there is anybody", async () => {
      announced.length = 0;
      await stores.identities.updateUser("admin", { passwordHash: "$hash" });
      for (const { id } of await apiKeysOf(stores).list("admin")) await apiKeysOf(stores).revoke(id);
      await bootstrap(stores);
      await stores.identities.deleteUser("admin");
      const zoe = { name: "zoe", roles: [], attributes: {}, passwordHash: undefined, disabled: false, createTime: 1 };
      await stores.identities.createUser(zoe);
      await bootstrap(stores);
      assert.deepEqual(announced, []);
      assert.equal(await stores.identities.findUser("admin"), undefined);
    });
  });
}

test("a production service prints the first key once, outside its log, and the key works", async () => {
  const deployment = await startDeployment({
    GATEHOUSE_PROFILE: "production",
    POLICY_TIMEOUT: "2s",
  });
  const printed = (): string[] =>
    deployment.output.flatMap((line) => [...line.matchAll(keyPattern)].map(([key]) => key));
  try {
    await until("the key is printed", async () => printed().length > 0);
    const [key = ""] = printed();
    const admin = createClient(
      IdentityService,
      createGrpcTransport({
        baseUrl: `http://127.0.0.1:${deployment.ports.auth}`,
        interceptors: [
          (next) => (request) => {
            request.header.set("authorization", `Bearer ${key}`);
            return next(request);
          },
        ],
      }),
    );
    assert.deepEqual(
      (await admin.listUsers({})).users.map((user) => user.name),
      ["admin"],
    );
    const lines = deployment.output.filter((line) => line.includes(key));
    assert.ok(
      lines.every((line) => !line.includes("{")),
      "it is in no line of the log",
    );
    await deployment.auth.stop();
    await deployment.restart("auth");
    await admin.createUser({ name: "alice" });
    assert.equal(printed().length, 1);
  } finally {
    await deployment.close();
  }
});

test("the first key waits for a Redis that comes later", async () => {
  const redis = await startRedisServer();
  await redis.kill();
  const output: string[] = [];
  const port = await freePort();
  const auth = startChildService({
    entry: "src/auth/main.ts",
    env: {
      PATH: process.env.PATH,
      REDIS_URL: redis.url,
      AUTH_GRPC_PORT: String(port),
      AUTH_HTTP_PORT: "0",
    },
    // Not before it has its store.
    isReady: async () => false,
    onLine: (line) => output.push(line),
  });
  try {
    await until("the service listens", async () => output.some((line) => line.includes("auth-service listens")));
    assert.ok(!output.some((line) => line.includes("gh_")));
    await redis.start();
    await until("the key is printed", async () => output.some((line) => line.includes("gh_")));
    const [key = ""] = output.join("\n").match(keyPattern) ?? [];
    const client = createClient(AuthService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` }));
    const answer = await client.authenticate({ credential: { case: "apiKey", value: key } });
    assert.deepEqual(answer.principal?.roles, ["gatehouse-admin"]);
  } finally {
    await auth.stop();
    await redis.stop();
  }
});
