import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AuthService } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { type Deployment, startDeployment } from "./support/deployment.ts";

let deployment: Deployment;
let token: string;

before(async () => {
  deployment = await startDeployment({ POLICY_BREAKER_RECOVERY: "500ms" });
  const signedIn = await auth().authenticate({
    credential: { case: "password", value: { username: "alice", password: "wonderland" } },
  });
  token = signedIn.sessionToken;
});
after(async () => {
  await deployment.close();
});

function auth() {
  return createClient(AuthService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${deployment.ports.auth}` }));
}

async function mayView(timeoutMs = 1_000): Promise<boolean> {
  const answer = await auth().authorize(
    {
      credential: { case: "bearerToken", value: token },
      action: { type: "Action", id: "view" },
      resource: { type: "Document", id: "handbook" },
    },
    { timeoutMs },
  );
  return answer.allowed;
}

async function breakerState(): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${deployment.ports.authHttp}/metrics`)).text();
  const line = /^circuit_breaker_state\{[^}]*target="policy-service"[^}]*\} (\d)$/m.exec(metrics);
  assert.ok(line, "circuit_breaker_state is exported");
  return Number(line[1]);
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    if (await holds()) return;
    await sleep(50);
  }
  assert.fail(`${what} within 10 s`);
}

function assertUnavailable(error: unknown): true {
  assert.ok(error instanceof ConnectError);
  assert.equal(error.code, Code.Unavailable);
  assert.equal(error.findDetails(RetryInfoSchema).length, 1, "tells when to try again");
  return true;
}

test("without policy-service nothing is allowed, and the breaker opens and heals by itself", async () => {
  assert.equal(await mayView(), true);
  assert.equal(await breakerState(), 0);

  await deployment.policy.stop("SIGKILL");
  await until("the breaker opens", async () => {
    await assert.rejects(mayView(), assertUnavailable);
    return (await breakerState()) === 1;
  });

  await deployment.restart("policy");
  await until("the breaker heals", async () => {
    const allowed = await mayView().catch(assertUnavailable);
    return allowed === true && (await breakerState()) === 0;
  });
  assert.equal(await mayView(), true);
});

test("a policy-service that hangs is UNAVAILABLE within the deadline", async () => {
  assert.equal(await mayView(), true);
  deployment.policy.signal("SIGSTOP");
  try {
    const start = performance.now();
    await assert.rejects(mayView(5_000), assertUnavailable);
    assert.ok(performance.now() - start < 2_500, "far sooner than the caller's own deadline");
  } finally {
    deployment.policy.signal("SIGCONT");
  }
  await until("it heals", async () => (await mayView().catch(() => false)) === true);
});

test("SIGTERM drains: readiness goes off, the process ends with 0", async () => {
  assert.equal(await deployment.policy.stop(), 0);
  await deployment.restart("policy");
});
