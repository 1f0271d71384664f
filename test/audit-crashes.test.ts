import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { JsonObject } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AuthService } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { IdentityService } from "../gen/gatehouse/auth/v1/identity_service_pb.ts";
import { PolicyService } from "../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { readAuditEvents } from "./support/audit-events.ts";
import { type Deployment, startDeployment } from "./support/deployment.ts";
import { startRedisServer } from "./support/redis-server.ts";
import { until } from "./support/until.ts";

function clientsOf({ ports }: Deployment) {
  const baseUrl = `http://127.0.0.1:${ports.auth}`;
  let token = "";
  const transport = createGrpcTransport({
    baseUrl,
    interceptors: [
      (next) => (request) => {
        if (token !== "") request.header.set("authorization", `Bearer ${token}`);
        return next(request);
      },
    ],
  });
  const auth = createClient(AuthService, transport);
  return {
    auth,
    identities: createClient(IdentityService, transport),
    async signIn(username: string, password: string): Promise<string> {
      const { sessionToken } = await auth.authenticate({
        credential: { case: "password", value: { username, password } },
      });
      token = sessionToken;
      return token;
    },
  };
}

const createdUsers = (events: readonly JsonObject[]): string[] =>
  events.flatMap(({ operation, outcome, resource }) =>
    operation === "CreateUser" && outcome === "success" ? [String((resource as JsonObject).id)] : [],
  );

/** Creates users until the service is gone, and adds those that were acknowledged. */
async function createUsers(deployment: Deployment, prefix: string, acknowledged: string[]): Promise<void> {
  const { identities, signIn } = clientsOf(deployment);
  await signIn("admin", "gatehouse");
  try {
    for (let n = 0; ; n += 1) {
      await identities.createUser({ name: `${prefix}-${n}` });
      acknowledged.push(`${prefix}-${n}`);
    }
  } catch (error) {
    assert.notEqual(ConnectError.from(error).code, Code.InvalidArgument);
  }
}

const linesOf = (path: string): JsonObject[] =>
  readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as JsonObject);

for (const name of ["SQLite", "Redis"]) {
  describe(`the audit on ${name}, when the service is killed`, () => {
    it("has an event, in the topic and in the file, of every change that was acknowledged", async () => {
      const redis = name === "Redis" ? await startRedisServer() : undefined;
      const env = { POLICY_TIMEOUT: "5s", ...(redis === undefined ? {} : { REDIS_URL: redis.url }) };
      const directory = mkdtempSync(join(tmpdir(), "gatehouse-audit-"));
      const auditFile = join(directory, "auth-service.jsonl");
      const file = {
        AUDIT_FILE: join(directory, "{service}.jsonl"),
        AUDIT_FILE_BYTES: "4096",
        AUDIT_FILE_COUNT: "1000",
      };
      const deployment = await startDeployment({ ...env, ...file });
      const store = redis?.url ?? join(deployment.dataDir, "auth.db");
      try {
        const acknowledged: string[] = [];
        for (const round of [1, 2, 3]) {
          const before = acknowledged.length;
          const creating = createUsers(deployment, `r${round}`, acknowledged);
          await until("some are acknowledged", async () => acknowledged.length >= before + 5);
          await sleep(50 * round);
          await deployment.auth.stop("SIGKILL");
          await creating;
          await deployment.restart("auth");
        }
        await until("every change is in the topic", async () => {
          const told = new Set(createdUsers(await readAuditEvents(store)));
          return acknowledged.every((user) => told.has(user));
        });
        const events = await readAuditEvents(store);
        const ids = new Set(events.map(({ id }) => id));
        // On Redis the files of both services share the work.
        const written = (): JsonObject[] =>
          readdirSync(directory)
            .filter((file) => /\.jsonl(\.\d+)?$/.test(file))
            .flatMap((file) => linesOf(join(directory, file)));
        await until("every event is in the file", async () => {
          const inFile = new Set(written().map(({ id }) => id));
          return [...ids].every((id) => inFile.has(id));
        });
        assert.equal(statSync(auditFile).mode & 0o777, 0o600);
        assert.ok(existsSync(`${auditFile}.1`), "the file is set aside when it is full");
        for (const file of readdirSync(directory)) assert.ok(statSync(join(directory, file)).size <= 4_096, file);
        // What is there twice is the same.
        const byId = new Map<unknown, string>();
        for (const event of written()) {
          assert.equal(byId.get(event.id) ?? JSON.stringify(event), JSON.stringify(event));
          byId.set(event.id, JSON.stringify(event));
        }
      } finally {
        await deployment.close();
        await redis?.stop();
        rmSync(directory, { recursive: true });
      }
    });
  });
}

describe("the audit while Redis is away", () => {
  it("keeps events, through the end of the service too, until Redis is back", async () => {
    const redis = await startRedisServer();
    const directory = mkdtempSync(join(tmpdir(), "gatehouse-audit-"));
    const deployment = await startDeployment({
      REDIS_URL: redis.url,
      POLICY_TIMEOUT: "5s",
      DECISION_LOG_SAMPLE: "1",
      AUDIT_FILE: join(directory, "{service}.jsonl"),
    });
    try {
      const { auth, signIn } = clientsOf(deployment);
      const session = await signIn("alice", "wonderland");
      const attempt = (token: string) =>
        auth.authenticate({ credential: { case: "bearerToken", value: token } }).then(
          () => undefined,
          (error: unknown) => ConnectError.from(error).code,
        );
      await redis.kill();
      await until("Redis is missed", async () => (await attempt(session)) === Code.Unavailable);
      for (let n = 0; n < 5; n += 1) await attempt(session);
      const policy = createClient(
        PolicyService,
        createGrpcTransport({ baseUrl: `http://127.0.0.1:${deployment.ports.policy}` }),
      );
      const uid = (type: string, id: string) => ({ type, id });
      const { decisionId } = await policy.evaluate({
        principal: uid("User", "alice"),
        action: uid("Action", "view"),
        resource: uid("Document", "handbook"),
      });
      await deployment.auth.stop("SIGKILL");
      await redis.start();
      await deployment.restart("auth");
      await until("what was tried meanwhile is told", async () => {
        const events = await readAuditEvents(redis.url);
        const unavailable = events.filter(({ reason }) => reason === "STORE_UNAVAILABLE");
        assert.ok(unavailable.every(({ outcome }) => outcome === "error"));
        return unavailable.length >= 6 && events.some((event) => event.decisionId === decisionId);
      });
      const events = await readAuditEvents(redis.url);
      assert.equal(new Set(events.map(({ id }) => id)).size, events.length, "nothing is told twice");
      await until("all of it is in a file", async () => {
        const files = readdirSync(directory).filter((file) => file.endsWith(".jsonl"));
        const ids = new Set(files.flatMap((file) => linesOf(join(directory, file))).map(({ id }) => id));
        return events.every(({ id }) => ids.has(id));
      });
    } finally {
      await deployment.close();
      await redis.stop();
      rmSync(directory, { recursive: true });
    }
  });
});
