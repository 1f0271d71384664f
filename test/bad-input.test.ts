import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { JsonObject } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Client, credentials, type ServiceError as GrpcError, Metadata } from "@grpc/grpc-js";
import { AuthService } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { Decision } from "../gen/gatehouse/policy/v1/decision_pb.ts";
import { PolicyService } from "../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { BadRequestSchema, ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { type Deployment, startDeployment } from "./support/deployment.ts";

let deployment: Deployment;

before(async () => {
  deployment = await startDeployment();
});
after(async () => {
  await deployment.close();
});

const valid = {
  principal: { type: "User", id: "alice" },
  action: { type: "Action", id: "edit" },
  resource: { type: "Document", id: "handbook" },
};

function policy() {
  return createClient(PolicyService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${deployment.ports.policy}` }));
}

function auth() {
  return createClient(AuthService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${deployment.ports.auth}` }));
}

async function refusal(call: Promise<unknown>): Promise<{ code: string; reason: string; fields: string[] }> {
  const error = await call.then(
    () => assert.fail("the call was accepted"),
    (thrown: unknown) => ConnectError.from(thrown),
  );
  return {
    code: Code[error.code] ?? "",
    reason: error.findDetails(ErrorInfoSchema)[0]?.reason ?? "",
    fields: error.findDetails(BadRequestSchema).flatMap((bad) => bad.fieldViolations.map(({ field }) => field)),
  };
}

/** Raw bytes as the request of a method, by grpc-js. */
async function sendBytes(port: number, path: string, bytes: Uint8Array, deadline?: number): Promise<GrpcError> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  try {
    return await new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        (value: Uint8Array) => Buffer.from(value),
        (value) => value,
        bytes,
        new Metadata(),
        deadline === undefined ? {} : { deadline },
        (error) => (error === null ? reject(new Error("the call was accepted")) : resolve(error)),
      );
    });
  } finally {
    client.close();
  }
}

async function stillServes(): Promise<void> {
  assert.equal((await policy().evaluate(valid)).decision, Decision.ALLOW);
}

const nested = (depth: number): JsonObject => (depth === 0 ? {} : { a: nested(depth - 1) });

const faulty: Readonly<Record<string, [request: Parameters<ReturnType<typeof policy>["evaluate"]>[0], field: string]>> =
  {
    "no principal": [{ action: valid.action, resource: valid.resource }, "principal"],
    "an empty type": [{ ...valid, resource: { type: "", id: "x" } }, "resource.type"],
    "an empty id": [{ ...valid, action: { type: "Action", id: "" } }, "action.id"],
    "an over-long id": [{ ...valid, principal: { type: "User", id: "x".repeat(1_025) } }, "principal.id"],
    "a malformed type": [{ ...valid, principal: { type: "no type", id: "x" } }, "principal"],
    "an entity type that the schema does not know": [{ ...valid, principal: { type: "Alien", id: "x" } }, "principal"],
    "an action that the schema does not know": [{ ...valid, action: { type: "Action", id: "explode" } }, "action"],
    "a context attribute that the schema does not know": [{ ...valid, context: { color: "red" } }, "context"],
    "a fraction": [{ ...valid, context: { mfa: 1.5 } }, "context"],
    "context nested too deep": [{ ...valid, context: nested(40) }, "context"],
    "a malformed entity reference": [
      {
        ...valid,
        entities: [{ uid: { type: "User", id: "alice" }, attrs: { email: { __entity: { type: "User" } } } }],
      },
      "entities",
    ],
  };

for (const [name, [request, field]] of Object.entries(faulty)) {
  test(`Evaluate refuses ${name}, naming ${field}`, async () => {
    const { code, fields } = await refusal(policy().evaluate(request));
    assert.equal(code, "InvalidArgument");
    assert.ok(fields[0]?.startsWith(field), `${fields} names ${field}`);
    await stillServes();
  });
}

test("bytes that are no message are INVALID_ARGUMENT on both services", async () => {
  const garbage = Uint8Array.from([0x0a, 0xff, 0xff, 0xff, 0x7f]);
  const evaluate = await sendBytes(deployment.ports.policy, "/gatehouse.policy.v1.PolicyService/Evaluate", garbage);
  assert.equal(evaluate.code, 3);
  const authenticate = await sendBytes(deployment.ports.auth, "/gatehouse.auth.v1.AuthService/Authenticate", garbage);
  assert.equal(authenticate.code, 3);
  await stillServes();
});

test("text that is not UTF-8 is INVALID_ARGUMENT", async () => {
  const invalid = Uint8Array.from([0x0a, 0x04, 0x0a, 0x02, 0xc3, 0x28]);
  const error = await sendBytes(deployment.ports.policy, "/gatehouse.policy.v1.PolicyService/Evaluate", invalid);
  assert.equal(error.code, 3);
  await stillServes();
});

test("a lone surrogate in JSON is a 400", async () => {
  const answer = await fetch(
    `http://127.0.0.1:${deployment.ports.policyHttp}/gatehouse.policy.v1.PolicyService/Evaluate`,
    {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"principal":{"type":"User","id":"\\ud800"},"action":{"type":"Action","id":"edit"},"resource":{"type":"Document","id":"handbook"}}',
    },
  );
  assert.equal(answer.status, 400);
  await stillServes();
});

test("a message over the limit is RESOURCE_EXHAUSTED", async () => {
  const { code } = await refusal(policy().evaluate({ ...valid, context: { big: "x".repeat(2_000_000) } }));
  assert.equal(code, "ResourceExhausted");
  await stillServes();
});

test("a deadline that has passed is DEADLINE_EXCEEDED", async () => {
  const path = "/gatehouse.policy.v1.PolicyService/Evaluate";
  const error = await sendBytes(deployment.ports.policy, path, new Uint8Array(), Date.now() - 1_000);
  assert.equal(error.code, 4);
  await stillServes();
});

test("Authenticate refuses a request without credential and an empty credential", async () => {
  assert.equal((await refusal(auth().authenticate({}))).code, "InvalidArgument");
  const empty = await refusal(auth().authenticate({ credential: { case: "bearerToken", value: "" } }));
  assert.deepEqual([empty.code, empty.fields], ["InvalidArgument", ["bearer_token"]]);
  const noPassword = { case: "password", value: { username: "alice", password: "" } } as const;
  assert.deepEqual((await refusal(auth().authenticate({ credential: noPassword }))).fields, ["password.password"]);
});

test("an unknown user and a wrong password are answered alike", async () => {
  const attempt = (username: string) =>
    refusal(auth().authenticate({ credential: { case: "password", value: { username, password: "wrong" } } }));
  const [unknown, wrong] = [await attempt("nobody"), await attempt("alice")];
  assert.deepEqual(unknown, wrong);
  assert.equal(wrong.code, "Unauthenticated");
});

test("no password or token reaches the output of the services", async () => {
  const { sessionToken } = await auth().authenticate({
    credential: { case: "password", value: { username: "alice", password: "wonderland" } },
  });
  await refusal(auth().authenticate({ credential: { case: "bearerToken", value: `${sessionToken}x` } }));
  const output = deployment.output.join("\n");
  assert.ok(!output.includes("wonderland"));
  assert.ok(!output.includes(sessionToken));
});
