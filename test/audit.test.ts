import assert from "node:assert/strict";
import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { JsonObject } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AuthService } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { IdentityService } from "../gen/gatehouse/auth/v1/identity_service_pb.ts";
import { Decision } from "../gen/gatehouse/policy/v1/decision_pb.ts";
import { PolicyService } from "../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { readAuditEvents } from "./support/audit-events.ts";
import { type Deployment, startDeployment } from "./support/deployment.ts";
import { connect, openStream } from "./support/evaluate-stream.ts";
import { runGatehouse } from "./support/gatehouse-command.ts";
import { startRedisServer } from "./support/redis-server.ts";
import { until } from "./support/until.ts";

const backends: Readonly<Record<string, () => Promise<{ env: Record<string, string>; stop(): Promise<void> }>>> = {
  SQLite: async () => ({ env: {}, stop: async () => undefined }),
  Redis: async () => {
    const server = await startRedisServer();
    return { env: { REDIS_URL: server.url }, stop: () => server.stop() };
  },
};

const password = "correct-horse-of-the-audit-test";
const mistyped = "my-password-in-the-wrong-field";
const hidden = "203.0.113.77";

for (const [name, startBackend] of Object.entries(backends)) {
  describe(`the audit on ${name}`, () => {
    let backend: Awaited<ReturnType<typeof startBackend>>;
    let deployment: Deployment;
    let storeEnv: Record<string, string>;
    const secrets: string[] = [password, mistyped, hidden];

    const transport = (port: number, token?: string) =>
      createGrpcTransport({
        baseUrl: `http://127.0.0.1:${port}`,
        interceptors: [
          (next) => (request) => {
            request.header.set("x-request-id", "audit-test");
            if (token !== undefined) request.header.set("authorization", `Bearer ${token}`);
            return next(request);
          },
        ],
      });
    const auth = () => createClient(AuthService, transport(deployment.ports.auth));
    const identities = (token?: string) => createClient(IdentityService, transport(deployment.ports.auth, token));
    const policy = () => createClient(PolicyService, transport(deployment.ports.policy));
    async function signIn(username: string, word: string): Promise<string> {
      const credential = { case: "password", value: { username, password: word } } as const;
      const { sessionToken } = await auth().authenticate({ credential });
      secrets.push(sessionToken);
      return sessionToken;
    }
    const store = (service: "auth" | "policy") => backend.env.REDIS_URL ?? join(deployment.dataDir, `${service}.db`);
    /** Waits until there are events that fit. */
    async function found(service: "auth" | "policy", count: number, fits: (event: JsonObject) => boolean) {
      let events: JsonObject[] = [];
      await until(`${count} such events are on the bus`, async () => {
        events = (await readAuditEvents(store(service))).filter(fits);
        return events.length >= count;
      });
      assert.equal(events.length, count);
      return events;
    }
    const decided = (id: string) => found("policy", 1, ({ decisionId }) => decisionId === id);

    before(async () => {
      backend = await startBackend();
      deployment = await startDeployment({
        ...backend.env,
        POLICY_TIMEOUT: "5s",
        DECISION_LOG_SAMPLE: "1",
        DECISION_LOG_MASK: "context.sourceIp,entities.email",
      });
      storeEnv = { DATA_DIR: deployment.dataDir, ...backend.env };
    });
    after(async () => {
      await deployment.close();
      await backend.stop();
    });

    it("tells of sign-ins and of refusals, with the user only if there is one", async () => {
      const admin = await signIn("admin", "gatehouse");
      await identities(admin).createUser({ name: "carol", password, roles: ["editor"] });
      await signIn("carol", password);
      await assert.rejects(signIn("carol", `${password}!`));
      await assert.rejects(signIn(mistyped, "carol"));
      await assert.rejects(auth().authenticate({ credential: { case: "bearerToken", value: `${admin}x` } }));

      const [first] = await found("auth", 1, ({ actor }) => (actor as JsonObject)?.id === "carol");
      assert.deepEqual(
        [first?.operation, first?.outcome, first?.details, first?.requestId, first?.peerAddress],
        ["authenticate", "success", { credential: "password", amr: "pwd" }, "audit-test", "127.0.0.1"],
      );
      const refused = await found("auth", 3, ({ outcome }) => outcome === "denied");
      assert.deepEqual(
        refused.map(({ reason, resource, details }) => [reason, resource, (details as JsonObject).credential]).sort(),
        [
          ["CREDENTIAL_NOT_VALID", undefined, "bearerToken"],
          ["CREDENTIAL_NOT_VALID", undefined, "password"],
          ["CREDENTIAL_NOT_VALID", { type: "User", id: "carol" }, "password"],
        ].sort(),
      );
    });

    it("tells of administrative changes: who, what, to what, and how it ended", async () => {
      const admin = await signIn("admin", "gatehouse");
      await identities(admin).listUsers({});
      const made = await identities(admin).createApiKey({ user: "carol", scopes: ["view"] });
      secrets.push(made.key);
      const carol = await signIn("carol", password);
      await assert.rejects(identities(carol).deleteUser({ name: "alice" }));
      await assert.rejects(identities(admin).deleteUser({ name: "nobody-of-this-name" }));

      const [key] = await found("auth", 1, ({ operation }) => operation === "CreateApiKey");
      assert.deepEqual([key?.outcome, key?.actor], ["success", { type: "User", id: "admin" }]);
      assert.deepEqual(key?.resource, { type: "Gatehouse::User", id: "carol" });
      assert.deepEqual(key?.details, { request: { user: "carol", scopes: ["view"] }, apiKeyId: made.apiKey?.id });
      const deletions = await found("auth", 2, ({ operation }) => operation === "DeleteUser");
      assert.deepEqual(
        deletions.map(({ outcome, reason, resource }) => [outcome, reason, (resource as JsonObject).id]),
        [
          ["denied", "PERMISSION_DENIED", "alice"],
          ["error", "USER_NOT_FOUND", "nobody-of-this-name"],
        ],
      );
      await found("auth", 0, ({ operation }) => operation === "ListUsers");
    });

    it("logs the decisions of each call by their ids, with what it takes to decide again, masked", async () => {
      const asked = {
        principal: { type: "User", id: "bob" },
        action: { type: "Action", id: "edit" },
        resource: { type: "Document", id: "handbook" },
      };
      const context = { mfa: true, sourceIp: { __extn: { fn: "ip", arg: hidden } } };
      const entities = [
        { uid: asked.principal, attrs: { email: "bob@example.com" }, parents: [{ type: "Role", id: "editor" }] },
      ];
      const single = await policy().evaluate({ ...asked, context, entities });
      assert.equal(single.decision, Decision.ALLOW);
      const [event] = await decided(single.decisionId);
      assert.deepEqual([event?.operation, event?.outcome, event?.actor], ["decide", "success", asked.principal]);
      assert.deepEqual([event?.action, event?.resource], [asked.action, asked.resource]);
      assert.deepEqual([event?.policyRevision, event?.determiningPolicies], [single.revision, ["editors-edit"]]);
      assert.deepEqual(event?.details, {
        context: { mfa: true, sourceIp: "[masked]" },
        entities: [{ uid: asked.principal, attrs: { email: "[masked]" }, parents: [{ type: "Role", id: "editor" }] }],
        masked: ["context.sourceIp", "entities.email"],
      });

      const batch = await policy().evaluateBatch({
        items: [{ ...asked, action: { type: "Action", id: "view" } }, asked],
      });
      const [second] = await decided(`${batch.batchId}.1`);
      assert.deepEqual([second?.outcome, second?.reason, second?.determiningPolicies], ["denied", "NO_MATCH", []]);

      const client = connect(deployment.ports.policy);
      const stream = openStream(client);
      stream.send({ case: "open", value: {} });
      await stream.next();
      const rows = [...Array(3).keys()].map((n) => ({
        ...asked,
        id: `row-${n}`,
        resource: { type: "Document", id: `d${n}` },
      }));
      stream.send({ case: "rows", value: { items: rows } });
      const answer = await stream.next();
      assert.ok(answer.case === "rows");
      const [row] = await decided(`${answer.value.batchId}.2`);
      assert.deepEqual(row?.resource, { type: "Document", id: "d2" });
      const uids = [asked.principal, asked.action, asked.resource, { type: "Document", id: "diary" }];
      stream.send({ case: "columns", value: { frameId: 1, uids, principals: [0], actions: [1], resources: [2, 3] } });
      const columns = await stream.next();
      assert.ok(columns.case === "columns");
      const [column] = await decided(`${columns.value.batchId}.1`);
      assert.deepEqual([column?.resource, column?.outcome], [{ type: "Document", id: "diary" }, "success"]);
      stream.raw.end();
      client.close();
    });

    it("makes a test case of a decision, and decides it again", async () => {
      const { decisionId, revision } = await policy().evaluate({
        principal: { type: "User", id: "new-hire" },
        action: { type: "Action", id: "edit" },
        resource: { type: "Document", id: "handbook" },
        context: { mfa: false },
        entities: [{ uid: { type: "User", id: "new-hire" }, parents: [{ type: "Role", id: "editor" }] }],
      });
      await decided(decisionId);
      const made = await runGatehouse(["replay", decisionId], storeEnv);
      assert.equal(made.code, 0, made.err);
      const directory = join(deployment.dataDir, "replayed");
      cpSync("policies/documents", directory, { recursive: true });
      writeFileSync(join(directory, "tests", "replayed.yaml"), made.out);
      const tested = await runGatehouse(["policy", "test", directory, "--filter", `decision ${decisionId}`]);
      assert.deepEqual([tested.code, /1 passed, 0 failed/.test(tested.out)], [0, true], tested.out);

      const address = ["--address", `127.0.0.1:${deployment.ports.policy}`];
      const again = await runGatehouse(["replay", decisionId, "--revision", revision, ...address, "--json"], storeEnv);
      assert.equal(again.code, 0, again.err);
      const { evaluated, same } = JSON.parse(again.out);
      assert.deepEqual([evaluated, same], [{ decision: "ALLOW", determining: ["editors-edit"], revision }, true]);
      const none = await runGatehouse(["replay", "no-such-decision"], storeEnv);
      assert.deepEqual([none.code, /is not on the bus/.test(none.err)], [1, true]);
    });

    it("shows events as they come, filtered", async () => {
      const tail = runGatehouse(
        [
          "audit",
          "tail",
          "--from-start",
          "--operation",
          "authenticate",
          "--outcome",
          "denied",
          "--limit",
          "2",
          "--json",
        ],
        storeEnv,
      );
      const { code, out } = await tail;
      assert.equal(code, 0);
      const shown = out.split("\n").map((line) => JSON.parse(line));
      assert.deepEqual(
        shown.map(({ operation, outcome }) => [operation, outcome]),
        [
          ["authenticate", "denied"],
          ["authenticate", "denied"],
        ],
      );
    });

    it("tells no secret, anywhere", async () => {
      const events = await readAuditEvents(store("auth"));
      const all = JSON.stringify([...events, ...(await readAuditEvents(store("policy")))]);
      assert.ok(events.length > 10 && secrets.length > 5);
      for (const secret of secrets) {
        assert.ok(!all.includes(secret), `${secret} is in an event`);
        assert.ok(!deployment.output.join("\n").includes(secret), `${secret} is in the log`);
      }
    });
  });
}
