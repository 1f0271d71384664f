import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { inspect } from "node:util";
import { AuthService } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { createServiceClient, type ServiceClient } from "../src/shared/client/service-client.ts";
import { type CollectedSpan, type Collector, startCollector } from "./support/collector.ts";
import { type Deployment, startDeployment } from "./support/deployment.ts";
import { eventually } from "./support/eventually.ts";

const server = 2;
const client = 3;
const internal = 1;
const password = "wonderland";

let collector: Collector;
let deployment: Deployment;
let auth: ServiceClient<typeof AuthService>;

before(async () => {
  collector = await startCollector();
  deployment = await startDeployment({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    TRACE_SAMPLE: "0",
    LOG_LEVEL: "debug",
    POLICY_TIMEOUT: "10s",
    ARGON2_MEMORY_KIB: "8192",
    ARGON2_PASSES: "1",
  });
  const address = `127.0.0.1:${deployment.ports.auth}`;
  auth = createServiceClient(AuthService, { address, target: "auth-service", deadlineMs: 20_000 });
  token = (await auth.authenticate(credential())).sessionToken;
});
after(async () => {
  auth.close();
  await deployment.close();
  await collector.close();
});

const credential = (secret = password) =>
  ({ credential: { case: "password", value: { username: "alice", password: secret } } }) as const;
const bearer = (sessionToken: string) => ({ credential: { case: "bearerToken", value: sessionToken } }) as const;
let token: string;
const question = { action: { type: "Action", id: "edit" }, resource: { type: "Document", id: "handbook" } };

async function spansOf(traceId: string, count: number): Promise<CollectedSpan[]> {
  const found = (): CollectedSpan[] => collector.spans.filter((span) => span.traceId === traceId);
  await eventually(() => assert.ok(found().length >= count, inspect(found())), 20_000);
  return found();
}

test("one trace over both services: each span is the child of what caused it", async () => {
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  await auth.authorize(
    { ...bearer(token), ...question },
    { traceparent: `00-${traceId}-b7ad6b7169203331-01`, requestId: "of-the-test" },
  );
  const spans = await spansOf(traceId, 4);
  const one = (service: string, kind: number): CollectedSpan => {
    const found = spans.filter((span) => span.service === service && span.kind === kind);
    assert.equal(found.length, 1, inspect(spans));
    return found[0] as CollectedSpan;
  };
  const authorize = one("auth-service", server);
  const authenticate = one("auth-service", internal);
  const ask = one("auth-service", client);
  const evaluate = one("policy-service", server);
  assert.equal(authorize.name, "gatehouse.auth.v1.AuthService/Authorize");
  assert.equal(authorize.parentSpanId, "b7ad6b7169203331");
  assert.equal(authenticate.name, "authenticate bearerToken");
  assert.equal(authenticate.parentSpanId, authorize.spanId);
  assert.equal(ask.name, "gatehouse.policy.v1.PolicyService/Evaluate");
  assert.equal(ask.parentSpanId, authorize.spanId);
  assert.equal(evaluate.name, ask.name);
  assert.equal(evaluate.parentSpanId, ask.spanId);
  assert.equal(new Set(spans.map(({ spanId }) => spanId)).size, 4);
  for (const span of spans) {
    assert.ok(span.start <= span.end);
    assert.equal(span.failure, undefined);
  }
  for (const span of [authorize, evaluate]) {
    assert.equal(span.attributes["gatehouse.request_id"], "of-the-test");
    assert.equal(span.attributes["rpc.grpc.status_code"], "0");
  }
  // The logs of both name the same trace.
  await eventually(() => {
    for (const name of ["auth", "policy"]) {
      assert.ok(
        deployment.output.some((line) => line.startsWith(`${name}: `) && line.includes(traceId)),
        name,
      );
    }
  });
});

test("a refusal is a failed span with its reason, and no secret", async () => {
  const traceId = "1af7651916cd43dd8448eb211c80319c";
  const wrong = "not-the-password";
  await assert.rejects(auth.authenticate(credential(wrong), { traceparent: `00-${traceId}-b7ad6b7169203331-01` }));
  for (const span of await spansOf(traceId, 2)) {
    assert.equal(span.failure, "UNAUTHENTICATED");
    assert.equal(span.attributes["error.type"], "CREDENTIAL_NOT_VALID");
  }
  for (const secret of [password, wrong, token, "alice"]) assert.ok(!collector.text.includes(secret), secret);
});

test("what the caller does not sample, and what begins here at a ratio of 0, is not recorded", async () => {
  const unsampled = "2af7651916cd43dd8448eb211c80319c";
  await auth.authorize({ ...bearer(token), ...question }, { traceparent: `00-${unsampled}-b7ad6b7169203331-00` });
  await auth.authorize({ ...bearer(token), ...question });
  const last = "3af7651916cd43dd8448eb211c80319c";
  await auth.authorize({ ...bearer(token), ...question }, { traceparent: `00-${last}-b7ad6b7169203331-01` });
  await spansOf(last, 4);
  const known = new Set(["0", "1", "3"].map((digit) => `${digit}af7651916cd43dd8448eb211c80319c`));
  assert.deepEqual(
    collector.spans.filter(({ traceId }) => !known.has(traceId)),
    [],
  );
});

test("a ratio of 1 records what begins here, and what is recorded is sent before the process ends", async () => {
  const own = await startCollector();
  try {
    const other = await startDeployment({
      OTEL_EXPORTER_OTLP_ENDPOINT: own.url,
      TRACE_SAMPLE: "1",
      POLICY_TIMEOUT: "10s",
    });
    try {
      const address = `127.0.0.1:${other.ports.auth}`;
      const caller = createServiceClient(AuthService, { address, target: "auth-service", deadlineMs: 20_000 });
      const { sessionToken } = await caller.authenticate(credential());
      await caller.authorize({ ...bearer(sessionToken), ...question });
      caller.close();
    } finally {
      await other.close();
    }
    const root = own.spans.find(({ name }) => name === "gatehouse.auth.v1.AuthService/Authorize");
    assert.ok(root !== undefined && root.parentSpanId === undefined);
    const services = own.spans.filter(({ traceId }) => traceId === root.traceId).map(({ service }) => service);
    assert.deepEqual([...new Set(services)].sort(), ["auth-service", "policy-service"]);
    assert.ok(own.spans.some(({ name }) => name === "authenticate password"));
    // Health checks and readiness are no traces.
    assert.ok(own.spans.every(({ name }) => !name.startsWith("grpc.")));
  } finally {
    await own.close();
  }
});
