/** What Envoy lets through to a workload, and what it refuses, by the word of auth-service. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../support/until.ts";
import { type Mesh, startMesh } from "./mesh.ts";
import { accessTokenOf, revoke, signIn } from "./sign-in.ts";
import { type Answer, type Ask, type Caller, callGrpc, createCaller } from "./traffic.ts";

const idleTimeoutMs = 5_000;
let mesh: Mesh;
let caller: Caller;
let alice: string;
let bob: string;

before(async () => {
  mesh = await startMesh({ env: { SESSION_IDLE_TIMEOUT: `${idleTimeoutMs}ms` } });
  caller = createCaller(mesh.ports.inbound);
});
after(async () => {
  caller?.close();
  await mesh?.close();
});

/** Fresh sessions, for they end soon. */
async function signInBoth(): Promise<void> {
  alice = await signIn(mesh.replicas.auth[0], "alice");
  bob = await signIn(mesh.replicas.auth[1], "bob");
}

async function ask(path: string, token?: string, more: Ask = {}): Promise<Answer> {
  const headers = { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...more.headers };
  return await caller.ask(path, { ...more, headers });
}

/** Whatever this does must not reach the workload. */
async function withoutReaching(refused: () => Promise<void>): Promise<void> {
  const before = mesh.workload.reached;
  await refused();
  assert.equal(mesh.workload.reached, before, "the workload was not reached");
}

test("a request that a policy permits reaches the workload, with who asks and why it may", async () => {
  await signInBoth();
  const { status, seen } = await ask("/docs/handbook", alice);
  assert.equal(status, 200);
  assert.equal(seen?.headers["x-gatehouse-principal"], 'User::"alice"');
  assert.equal(seen?.headers["x-gatehouse-roles"], "editor");
  assert.equal(seen?.headers["user-id"], "alice");
  assert.match(seen?.headers["x-gatehouse-session"] ?? "", /^[\w-]{20,}$/);
  assert.match(seen?.headers["x-gatehouse-decision-id"] ?? "", /^[\w:.-]{8,64}$/);
  assert.equal(seen?.headers.authorization, `Bearer ${alice}`);
});

test("a body arrives whole", async () => {
  const body = JSON.stringify({ text: "x".repeat(200_000) });
  const { status, seen } = await ask("/docs/handbook", alice, { method: "PUT", body });
  assert.equal(status, 200);
  assert.equal(seen?.method, "PUT");
  assert.equal(seen?.body, body);
});

test("what no policy permits is refused with 403, and a body of JSON", async () => {
  await withoutReaching(async () => {
    const answer = await ask("/docs/handbook", bob, { method: "PUT", body: "x" });
    assert.equal(answer.status, 403);
    assert.equal(answer.headers["content-type"], "application/json");
    const body = JSON.parse(answer.body);
    assert.equal(body.code, "permission_denied");
    assert.equal(body.decisionId, answer.headers["x-gatehouse-decision-id"]);
  });
});

test("without a credential, or with a wrong one, the answer is 401 and says what is wanted", async () => {
  await withoutReaching(async () => {
    const none = await ask("/docs/handbook");
    assert.deepEqual([none.status, none.headers["www-authenticate"]], [401, 'Bearer realm="gatehouse"']);
    for (const token of [
      "wrong",
      `${alice.slice(0, -1)}${alice.endsWith("A") ? "B" : "A"}`,
      "eyJhbGciOiJub25lIn0.e30.",
    ]) {
      const wrong = await ask("/docs/handbook", token);
      assert.deepEqual(
        [wrong.status, wrong.headers["www-authenticate"]],
        [401, 'Bearer realm="gatehouse", error="invalid_token"'],
      );
    }
  });
});

test("identity headers of the caller's own are replaced, and removed where there is no identity", async () => {
  const headers = {
    "x-gatehouse-principal": 'User::"root"',
    "X-Gatehouse-Roles": "admin",
    "x-gatehouse-admin": "true",
    x_gatehouse_principal: 'User::"root"',
    "user-id": "root",
    "x-http-method-override": "DELETE",
  };
  const { seen } = await ask("/docs/handbook", alice, { headers });
  assert.equal(seen?.headers["x-gatehouse-principal"], 'User::"alice"');
  assert.equal(seen?.headers["user-id"], "alice");
  const open = await ask("/healthz", undefined, { headers });
  assert.equal(open.status, 200);
  for (const answer of [seen, open.seen]) {
    assert.ok(answer);
    assert.doesNotMatch(JSON.stringify(answer.headers), /root|admin|true|DELETE/);
  }
  assert.deepEqual(
    Object.keys(open.seen?.headers ?? {}).filter((name) => /gatehouse|user.id/.test(name)),
    [],
  );
});

test("a public route needs no credential, and minds none", async () => {
  assert.equal((await ask("/healthz")).status, 200);
  assert.equal((await ask("/healthz", "wrong")).status, 200);
});

test("what no rule covers is refused, whoever asks", async () => {
  await withoutReaching(async () => {
    for (const [method, path] of [
      ["GET", "/"],
      ["GET", "/admin"],
      ["DELETE", "/docs/handbook"],
      ["GET", "/docs/handbook/pages"],
      ["GET", "/Docs/handbook"],
      ["POST", "/healthz"],
    ] as const) {
      assert.equal((await ask(path, alice, { method })).status, 403, `${method} ${path}`);
    }
  });
});

test("no spelling of a path reaches what the plain one does not", async () => {
  await withoutReaching(async () => {
    for (const path of [
      "/healthz/../admin",
      "/healthz/%2e%2e/admin",
      "/healthz/..%2fadmin",
      "/healthz/..%5cadmin",
      "/healthz/..\\admin",
      "/healthz/%252e%252e/admin",
      "/healthz%2f..%2fadmin",
      "/healthz;/../admin",
      "/healthz%00",
      "/healthz/..;/admin",
      "//admin",
      "/docs/constitution%2funlock",
    ]) {
      const { status } = await ask(path);
      assert.ok([400, 401, 403].includes(status), `${path} got ${status}`);
    }
  });
});

test("gRPC is let through and refused in its own terms", async () => {
  const allowed = await callGrpc(mesh.ports.inbound, {
    authorization: `Bearer ${alice}`,
    "x-document": "handbook",
    "user-id": "root",
  });
  assert.deepEqual([allowed.code, allowed.seen?.body], [0, "a message"]);
  assert.equal(allowed.seen?.headers["user-id"], "alice");
  await withoutReaching(async () => {
    const unknown = await callGrpc(mesh.ports.inbound, { "x-document": "handbook" });
    assert.deepEqual([unknown.code, unknown.message], [16, "A credential is needed."]);
    const stranger = await callGrpc(mesh.ports.inbound, { authorization: `Bearer ${bob}` });
    assert.deepEqual([stranger.code, stranger.message], [7, "This is not permitted."]);
    const path = "/demo.documents.v1.Documents/Delete";
    const unmapped = await callGrpc(mesh.ports.inbound, { authorization: `Bearer ${alice}` }, "x", path);
    assert.equal(unmapped.code, 7);
  });
});

test("a revoked session is refused at once, on every replica, and its access token too", async () => {
  const session = await signIn(mesh.replicas.auth[0], "alice");
  const token = await accessTokenOf(mesh.replicas.auth[1], session);
  for (const each of [session, token]) assert.equal((await ask("/docs/handbook", each)).status, 200);
  await revoke(mesh.replicas.auth[1], session);
  await withoutReaching(async () => {
    for (let count = 0; count < 10; count += 1) {
      for (const each of [session, token]) assert.equal((await ask("/docs/handbook", each)).status, 401);
    }
  });
});

test("an access token is verified by auth-service, and again by the filter for JWTs", async () => {
  await signInBoth();
  const token = await accessTokenOf(mesh.replicas.auth[0], alice);
  const { status, seen } = await ask("/docs/handbook", token);
  assert.equal(status, 200);
  assert.equal(seen?.headers["x-gatehouse-principal"], 'User::"alice"');
  assert.equal(seen?.headers["x-gatehouse-jwt"], token);
  const stats = await (await fetch(`http://127.0.0.1:${mesh.ports.admin}/stats?filter=jwks_fetch_success`)).text();
  assert.match(stats, /jwks_fetch_success: [1-9]/, "the filter has fetched the keys");
  const [header, claims, signature = ""] = token.split(".");
  const forged = `${header}.${claims}.${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`;
  await withoutReaching(async () => {
    assert.equal((await ask("/docs/handbook", forged)).status, 401);
    assert.equal((await ask("/docs/handbook", undefined, { headers: { "x-gatehouse-jwt": token } })).status, 401);
  });
});

test("an expired session is refused", async () => {
  const token = await signIn(mesh.replicas.auth[0], "bob");
  assert.equal((await ask("/docs/handbook", token)).status, 200);
  await sleep(idleTimeoutMs + 200);
  await withoutReaching(async () => assert.equal((await ask("/docs/handbook", token)).status, 401));
});

test("while no policy-service answers, requests get 503 and never through; then they do again", async () => {
  await signInBoth();
  const killed = [...mesh.replicas.policy];
  await Promise.all(killed.map((replica) => mesh.kill(replica)));
  await withoutReaching(async () => {
    for (let count = 0; count < 10; count += 1) {
      const { status, body } = await ask("/docs/handbook", alice);
      assert.equal(status, 503);
      if (body.startsWith("{")) assert.equal(JSON.parse(body).code, "unavailable");
    }
    assert.equal(
      (await callGrpc(mesh.ports.inbound, { authorization: `Bearer ${alice}`, "x-document": "handbook" })).code,
      14,
    );
    assert.equal((await ask("/docs/handbook")).status, 401);
  });
  for (const replica of killed) mesh.forget(replica);
  await mesh.add("policy");
  await until("requests are let through again", async () => {
    alice = await signIn(mesh.replicas.auth[0], "alice");
    return (await ask("/docs/handbook", alice)).status === 200;
  });
});

test("while Redis is away, requests get 503", async () => {
  await mesh.redis.kill();
  await withoutReaching(async () => {
    for (let count = 0; count < 5; count += 1) assert.equal((await ask("/docs/handbook", alice)).status, 503);
  });
  await mesh.redis.start();
  await until("sessions are found again", async () => {
    const { status } = await ask("/docs/handbook", alice);
    if (status === 401) alice = await signIn(mesh.replicas.auth[0], "alice");
    return status === 200;
  });
});
