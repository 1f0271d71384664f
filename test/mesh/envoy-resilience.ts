/** What callers notice behind Envoy when replicas die, are replaced, or are added: as little as can be. */
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AuthService } from "../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { until } from "../support/until.ts";
import { type Mesh, type Replica, type ServiceName, startMesh } from "./mesh.ts";
import { signIn } from "./sign-in.ts";
import { type Caller, callGrpc, createCaller, type Load, startLoad } from "./traffic.ts";

const connectionAgeMs = 3_000;
let mesh: Mesh;
let caller: Caller;
let alice: string;
let bob: string;

before(async () => {
  mesh = await startMesh({
    env: { GRPC_MAX_CONNECTION_AGE: `${connectionAgeMs}ms`, GRPC_MAX_CONNECTION_AGE_GRACE: "2s" },
  });
  caller = createCaller(mesh.ports.inbound);
  alice = await signIn(mesh.replicas.auth[0], "alice");
  bob = await signIn(mesh.replicas.auth[0], "bob");
});
after(async () => {
  caller?.close();
  await mesh?.close();
});

/** Whatever a test leaves behind when it fails, so that the next ones tell of themselves alone. */
const loads = new Set<Load>();
const killed = new Set<Replica>();
afterEach(async () => {
  await Promise.all([...loads].map((load) => load.stop()));
  loads.clear();
  for (const replica of killed) {
    mesh.forget(replica);
    await mesh.add(replica.name);
  }
  killed.clear();
});

async function kill(replica: Replica): Promise<void> {
  killed.add(replica);
  await mesh.kill(replica);
}

/** alice edits, which she may; bob does, which he may not. */
function startBoth(perSecond: number): { readonly allowed: Load; readonly forbidden: Load; stop(): Promise<void> } {
  const edit = (token: string) => () =>
    caller.ask("/docs/handbook", { method: "PUT", headers: { authorization: `Bearer ${token}` }, body: "text" });
  const allowed = startLoad(perSecond, edit(alice));
  const forbidden = startLoad(perSecond / 4, edit(bob));
  loads.add(allowed).add(forbidden);
  return {
    allowed,
    forbidden,
    stop: async () => {
      await Promise.all([allowed.stop(), forbidden.stop()]);
    },
  };
}

/** Every request was answered with this status. */
function assertAll(load: Load, status: number): void {
  assert.deepEqual(load.statuses, { [status]: load.sent }, JSON.stringify([load.statuses, load.examples]));
}

/** Calls of a method that a replica has answered. */
async function answered(replica: Replica, method: string): Promise<number> {
  return await sumOf(replica, "service_requests_total", method);
}

/** Sum of a metric's series whose labels hold a text. */
async function sumOf({ httpPort }: Replica, metric: string, label: string): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
  const lines = metrics.split("\n").filter((line) => line.startsWith(`${metric}{`) && line.includes(label));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

async function stat(name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${mesh.ports.admin}/stats?filter=^${name}$`)).text();
  return Number(/: (\d+)/.exec(text)?.[1] ?? 0);
}

test("both replicas take part, and every request is decided", async () => {
  const load = startBoth(100);
  await sleep(2_000);
  await load.stop();
  assertAll(load.allowed, 200);
  assertAll(load.forbidden, 403);
  for (const replica of mesh.replicas.auth) assert.ok((await answered(replica, "Authorization/Check")) > 20);
  // Each auth-service asks by one stream, and where that ends up is chance.
  const decisions = mesh.replicas.policy.map((replica) => sumOf(replica, "policy_decisions_total", ""));
  const made = (await Promise.all(decisions)).reduce((sum, count) => sum + count, 0);
  assert.ok(made >= load.allowed.sent + load.forbidden.sent, `${made} decisions`);
});

test("an auth-service replica that dies is ejected, and nothing is let through that may not", async () => {
  const [victim] = mesh.replicas.auth;
  assert.ok(victim);
  const load = startBoth(100);
  await sleep(500);
  await kill(victim);
  await until(
    "the replica is ejected",
    async () => (await stat("cluster.auth.outlier_detection.ejections_active")) === 1,
  );
  const refused = load.allowed.statuses[503] ?? 0;
  const before = load.allowed.statuses[200] ?? 0;
  await sleep(1_000);
  await load.stop();
  // While it is ejected, nobody notices: only what came before may have been refused.
  assert.ok((load.allowed.statuses[200] ?? 0) - before > 50, JSON.stringify(load.allowed.statuses));
  assert.ok((load.allowed.statuses[503] ?? 0) - refused <= 2, JSON.stringify(load.allowed.statuses));
  assert.deepEqual(
    Object.keys(load.allowed.statuses).filter((status) => !["200", "503"].includes(status)),
    [],
  );
  assert.deepEqual(
    Object.keys(load.forbidden.statuses).filter((status) => !["403", "503"].includes(status)),
    [],
  );
  // Callers of its RPCs are moved to the other at once, by retries.
  for (let count = 0; count < 20; count += 1) {
    const { code } = await callGrpc(
      mesh.ports.calls,
      { "user-id": `user-${count}` },
      "",
      "/gatehouse.auth.v1.AuthService/Introspect",
    );
    assert.notEqual(code, 14);
  }
});

test("a policy-service replica that dies is not noticed: what it was asked is asked of the other", async () => {
  const [victim] = mesh.replicas.policy;
  assert.ok(victim);
  const load = startBoth(100);
  await sleep(500);
  await kill(victim);
  await sleep(2_000);
  await load.stop();
  assertAll(load.allowed, 200);
  assertAll(load.forbidden, 403);
});

test("both services are replaced under load, and no request that may pass fails", async () => {
  const load = startBoth(100);
  await sleep(500);
  for (const name of ["policy", "auth"] as const satisfies ServiceName[]) {
    for (const old of [...mesh.replicas[name]]) {
      await mesh.add(name);
      await mesh.retire(old);
    }
  }
  await sleep(500);
  await load.stop();
  assert.ok(load.allowed.sent > 500, `${load.allowed.sent} requests`);
  assertAll(load.allowed, 200);
  assertAll(load.forbidden, 403);
});

test("a user's calls go to one replica, and users are spread over all", async () => {
  const method = "AuthService/Introspect";
  const path = "/gatehouse.auth.v1.AuthService/Introspect";
  const counts = async (): Promise<number[]> => Promise.all(mesh.replicas.auth.map((each) => answered(each, method)));
  const used = new Set<number>();
  for (let user = 0; user < 12; user += 1) {
    const before = await counts();
    for (let call = 0; call < 5; call += 1) await callGrpc(mesh.ports.calls, { "user-id": `user-${user}` }, "", path);
    const grown = (await counts()).map((count, index) => count - (before[index] ?? 0));
    assert.deepEqual(
      grown.toSorted((a, b) => a - b),
      [0, 5],
      `user-${user}`,
    );
    used.add(grown.indexOf(5));
  }
  assert.equal(used.size, 2);
});

test("a new replica receives load within the age of a connection, where only connections are balanced", async () => {
  // One client keeps its connection for as long as it is let, as grpc-js and Envoy do.
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${mesh.ports.connections}` });
  const client = createClient(AuthService, transport);
  const load = startLoad(50, async () => {
    const { principal } = await client.authenticate({ credential: { case: "bearerToken", value: alice } });
    return { status: principal?.id === "alice" ? 200 : 500 };
  });
  loads.add(load);
  await sleep(500);
  const added = await mesh.add("auth");
  const began = Date.now();
  await until("the new replica is asked", async () => (await answered(added, "AuthService/Authenticate")) > 0);
  // The age and its jitter of a tenth, once for each replica that a new connection may meet before.
  assert.ok(Date.now() - began < connectionAgeMs * 1.2 * mesh.replicas.auth.length);
  await load.stop();
  assertAll(load, 200);
});
