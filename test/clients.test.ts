import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Client, credentials } from "@grpc/grpc-js";
import { AuthService } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { Decision } from "../gen/gatehouse/policy/v1/decision_pb.ts";
import {
  EvaluateRequestSchema,
  type EvaluateResponse,
  EvaluateResponseSchema,
  PolicyService,
} from "../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { type Deployment, startDeployment } from "./support/deployment.ts";

const run = promisify(execFile);
let deployment: Deployment;

before(async () => {
  deployment = await startDeployment();
});
after(async () => {
  await deployment.close();
});

const mayEdit = (user: string, document = "handbook") => ({
  principal: { type: "User", id: user },
  action: { type: "Action", id: "edit" },
  resource: { type: "Document", id: document },
});

test("a grpc-js client evaluates", async () => {
  const client = new Client(`127.0.0.1:${deployment.ports.policy}`, credentials.createInsecure());
  const answer = await new Promise<EvaluateResponse>((resolve, reject) => {
    client.makeUnaryRequest(
      "/gatehouse.policy.v1.PolicyService/Evaluate",
      (bytes: Uint8Array) => Buffer.from(bytes),
      (bytes) => fromBinary(EvaluateResponseSchema, bytes),
      toBinary(EvaluateRequestSchema, create(EvaluateRequestSchema, mayEdit("alice"))),
      (error, value) => (value === undefined ? reject(error) : resolve(value)),
    );
  });
  client.close();
  assert.equal(answer.decision, Decision.ALLOW);
  assert.deepEqual(answer.determiningPolicies, ["editors-edit"]);
  assert.match(answer.revision, /^\d+-[0-9a-f]{12}$/);
});

const transports: Readonly<Record<string, (url: string, grpcUrl: string) => Transport>> = {
  "Connect over HTTP/1.1": (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" }),
  "Connect over HTTP/2": (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" }),
  "gRPC-Web over HTTP/1.1": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  "gRPC over HTTP/2 on the gRPC port": (_url, baseUrl) => createGrpcTransport({ baseUrl }),
};

for (const [name, createTransport] of Object.entries(transports)) {
  test(`a connect-node client speaks ${name}`, async () => {
    const { ports } = deployment;
    const policy = createClient(
      PolicyService,
      createTransport(`http://127.0.0.1:${ports.policyHttp}`, `http://127.0.0.1:${ports.policy}`),
    );
    const allowed = await policy.evaluate(mayEdit("alice"));
    assert.equal(allowed.decision, Decision.ALLOW);
    assert.deepEqual(allowed.determiningPolicies, ["editors-edit"]);
    const denied = await policy.evaluate(mayEdit("bob"));
    assert.equal(denied.decision, Decision.DENY);
    assert.deepEqual(denied.determiningPolicies, []);

    const auth = createClient(
      AuthService,
      createTransport(`http://127.0.0.1:${ports.authHttp}`, `http://127.0.0.1:${ports.auth}`),
    );
    const signedIn = await auth.authenticate({
      credential: { case: "password", value: { username: "bob", password: "builder" } },
    });
    assert.deepEqual(signedIn.principal?.roles, ["viewer"]);
    const known = await auth.authenticate({ credential: { case: "bearerToken", value: signedIn.sessionToken } });
    assert.equal(known.principal?.id, "bob");
    assert.equal(known.sessionToken, "", "a session token is shown once");
    const answer = await auth.authorize({
      credential: { case: "bearerToken", value: signedIn.sessionToken },
      action: { type: "Action", id: "view" },
      resource: { type: "Document", id: "handbook" },
    });
    assert.equal(answer.allowed, true);
  });
}

test("buf curl speaks gRPC with reflection", async () => {
  const { stdout } = await run("buf", [
    ...[
      "curl",
      "--protocol",
      "grpc",
      "--http2-prior-knowledge",
      "-d",
      JSON.stringify(mayEdit("alice", "constitution")),
    ],
    `http://127.0.0.1:${deployment.ports.policy}/gatehouse.policy.v1.PolicyService/Evaluate`,
  ]);
  const answer = JSON.parse(stdout);
  assert.equal(answer.decision, "DECISION_DENY");
  assert.equal(answer.reason, "DECISION_REASON_FORBIDDEN");
});

test("plain JSON works on the HTTP edge", async () => {
  const answer = await fetch(
    `http://127.0.0.1:${deployment.ports.policyHttp}/gatehouse.policy.v1.PolicyService/Evaluate`,
    { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(mayEdit("alice")) },
  );
  assert.equal(answer.status, 200);
  assert.equal(((await answer.json()) as { decision: string }).decision, "DECISION_ALLOW");
});

test("both services tell their health and metrics", async () => {
  for (const port of [deployment.ports.authHttp, deployment.ports.policyHttp]) {
    assert.equal((await fetch(`http://127.0.0.1:${port}/livez`)).status, 200);
    assert.equal((await fetch(`http://127.0.0.1:${port}/readyz`)).status, 200);
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    for (const name of [
      "service_request_duration_seconds_bucket",
      "service_requests_total",
      "service_active_connections",
      "circuit_breaker_state",
      "cache_hit_rate",
      "process_resident_memory_bytes",
      "nodejs_eventloop_lag_seconds",
    ]) {
      assert.match(metrics, new RegExp(`^(# TYPE )?${name}`, "m"), `${name} on port ${port}`);
    }
  }
});
