import assert from "node:assert/strict";
import { once } from "node:events";
import { constants, createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { AuthService } from "../../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { Decision } from "../../../gen/gatehouse/policy/v1/decision_pb.ts";
import { type EvaluateResponse, PolicyService } from "../../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { createMetrics } from "../metrics/metrics.ts";
import { ServiceError } from "../service-error.ts";
import {
  type CallOptions,
  createServiceClient,
  type ServiceClient,
  type ServiceClientOptions,
} from "./service-client.ts";
import { startChildServer } from "./testing/child-server.ts";
import { startUnaryServer, type UnaryServer } from "./testing/unary-server.ts";

type Client = ServiceClient<typeof PolicyService>;

function connect(port: number, options: Partial<ServiceClientOptions> = {}): Client {
  return createServiceClient(PolicyService, {
    target: "policy-service",
    address: `127.0.0.1:${port}`,
    unavailableReason: "POLICY_UNAVAILABLE",
    ...options,
  });
}

function ask(client: Client, id: string, options?: CallOptions): Promise<EvaluateResponse> {
  return client.evaluate(
    {
      principal: { type: "User", id },
      action: { type: "Action", id: "view" },
      resource: { type: "Document", id: "handbook" },
    },
    options,
  );
}

async function failure(call: Promise<unknown>): Promise<ServiceError> {
  const error = await call.then(
    () => assert.fail("expected an error"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ServiceError, String(error));
  return error;
}

/** Calls until one is answered; the client must heal by itself. */
async function untilHealed(client: Client, withinMs = 10_000): Promise<void> {
  const end = Date.now() + withinMs;
  for (;;) {
    try {
      await ask(client, "ok");
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
      await sleep(20);
    }
  }
}

describe("unary client", () => {
  let server: UnaryServer;
  const clients: Client[] = [];
  const open = (options?: Partial<ServiceClientOptions>): Client => {
    const client = connect(server.port, options);
    clients.push(client);
    return client;
  };
  before(async () => {
    server = await startUnaryServer();
  });
  after(() => {
    for (const client of clients) client.close();
    server.stop();
  });

  test("passes the request, its trace and its identifier, and answers", async () => {
    const answer = await ask(open({ deadlineMs: 5_000 }), "ok:trace", {
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      requestId: "r-1",
      headers: { "x-tenant": "t" },
    });
    assert.equal(answer.decision, Decision.ALLOW);
    const seen = server.seen.find(({ id }) => id === "ok:trace");
    assert.deepEqual(seen?.metadata.get("traceparent"), ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]);
    assert.deepEqual(seen?.metadata.get("x-request-id"), ["r-1"]);
    assert.deepEqual(seen?.metadata.get("x-tenant"), ["t"]);
  });

  test("multiplexes answers without mixing them up", async () => {
    const client = open({ deadlineMs: 5_000 });
    const ids = Array.from({ length: 500 }, (_, n) => `slow:${n % 7}:${n}`);
    const answers = await Promise.all(ids.map((id) => ask(client, id)));
    assert.deepEqual(
      answers.map(({ determiningPolicies }) => determiningPolicies[0]),
      ids,
    );
  });

  test("tells reason, violations and retry delay of the server's error", async () => {
    const error = await failure(ask(open(), "refuse"));
    assert.equal(error.code, "INVALID_ARGUMENT");
    assert.equal(error.reason, "INVALID_REQUEST");
    assert.deepEqual(error.violations, [{ field: "principal.id", description: "is too long" }]);
    assert.equal(error.retryAfterMs, 1_500);
  });

  test("answers UNAVAILABLE within its own deadline when the target is slow", async () => {
    const client = open();
    const start = performance.now();
    const error = await failure(ask(client, "hang"));
    assert.ok(performance.now() - start >= 95);
    assert.equal(error.code, "UNAVAILABLE");
    assert.equal(error.reason, "POLICY_UNAVAILABLE");
    assert.equal(error.metadata.cause, "timeout");
    assert.ok(error.retryAfterMs !== undefined && error.retryAfterMs > 0);
  });

  test("never waits beyond the caller's deadline, less the reserve", async () => {
    const client = open({ deadlineMs: 60_000, reserveMs: 500 });
    const error = await failure(ask(client, "hang:reserve", { deadline: Date.now() + 550 }));
    assert.equal(error.code, "DEADLINE_EXCEEDED");
  });

  test("sends nothing when the deadline has passed or the caller has left", async () => {
    const client = open();
    assert.equal((await failure(ask(client, "late", { deadline: Date.now() - 1 }))).code, "DEADLINE_EXCEEDED");
    assert.equal((await failure(ask(client, "left", { signal: AbortSignal.abort() }))).code, "CANCELLED");
    assert.equal(server.seen.filter(({ id }) => id === "late" || id === "left").length, 0);
  });

  test("cancels the call at the server when the caller leaves", async () => {
    const client = open({ deadlineMs: 60_000 });
    const controller = new AbortController();
    const call = failure(ask(client, "hang:cancel", { signal: controller.signal }));
    while (!server.seen.some(({ id }) => id === "hang:cancel")) await sleep(5);
    controller.abort();
    assert.equal((await call).code, "CANCELLED");
    const seen = server.seen.find(({ id }) => id === "hang:cancel");
    while (seen?.cancelled() !== true) await sleep(5);
  });

  test("retries UNAVAILABLE within the budget, and nothing else", async () => {
    // A breaker that does not interfere: this is about the budget.
    const breaker = { consecutiveFailures: 1_000, failureRatio: 0.99, minimumCalls: 100_000 };
    const client = open({ deadlineMs: 5_000, breaker });
    await failure(ask(client, "fail:INTERNAL"));
    assert.equal(server.seen.filter(({ id }) => id === "fail:INTERNAL").length, 1);
    const calls = 100;
    for (let n = 0; n < calls; n++) await failure(ask(client, "fail:UNAVAILABLE"));
    const retries = server.seen.filter(({ id }) => id === "fail:UNAVAILABLE").length - calls;
    assert.ok(retries >= 10 && retries <= 10 + calls * 0.1, `${retries} retries`);
  });

  test("turns calls away when all places are taken, and answers those waiting by their deadlines", async () => {
    const client = open({ maxConcurrent: 2, maxQueued: 2, deadlineMs: 5_000 });
    const inside = [ask(client, "slow:200:a"), ask(client, "slow:200:b")];
    const waiting = [ask(client, "ok:c"), failure(ask(client, "ok:d", { deadline: Date.now() + 50 }))] as const;
    const turnedAway = await failure(ask(client, "ok:e"));
    assert.equal(turnedAway.code, "UNAVAILABLE");
    assert.equal(turnedAway.metadata.cause, "overflow");
    assert.equal((await waiting[1]).code, "DEADLINE_EXCEEDED");
    await Promise.all(inside);
    await waiting[0];
    assert.equal(server.seen.filter(({ id }) => id === "ok:d" || id === "ok:e").length, 0);
  });

  test("sends an overloaded target no more than a part of what it refused", async () => {
    const client = open({ deadlineMs: 5_000 });
    const refused = await Promise.all(Array.from({ length: 50 }, () => failure(ask(client, "overload"))));
    assert.ok(refused.every(({ reason }) => reason === "OVERLOADED"));
    const before = server.seen.length;
    const calls = await Promise.allSettled(Array.from({ length: 100 }, () => ask(client, "slow:50")));
    const heldBack = calls.filter((call) => call.status === "rejected").map((call) => call.reason as ServiceError);
    assert.deepEqual([server.seen.length - before, heldBack.length], [25, 75]);
    assert.deepEqual([heldBack[0]?.code, heldBack[0]?.reason], ["RESOURCE_EXHAUSTED", "OVERLOADED"]);
    assert.ok((heldBack[0]?.retryAfterMs ?? 0) > 0);
    assert.equal(client.resilience.circuit.state, "closed");
  });

  test("opens on infrastructure failures only", async () => {
    const client = open({ breaker: { consecutiveFailures: 3 }, maxRetries: 0, recoveryMs: 60_000 });
    for (let n = 0; n < 10; n++) {
      await failure(ask(client, "fail:PERMISSION_DENIED"));
      await failure(ask(client, "refuse"));
      await failure(ask(client, "hang", { deadline: Date.now() + 5 }));
    }
    assert.equal(client.resilience.circuit.state, "closed");
    for (let n = 0; n < 3; n++) await failure(ask(client, "fail:UNAVAILABLE"));
    assert.equal(client.resilience.circuit.state, "open");
    const before = server.seen.length;
    const error = await failure(ask(client, "ok"));
    assert.equal(error.reason, "POLICY_UNAVAILABLE");
    assert.equal(error.metadata.cause, "open");
    assert.ok(error.retryAfterMs !== undefined && error.retryAfterMs > 50_000 && error.retryAfterMs <= 60_000);
    assert.equal(server.seen.length, before);
  });

  test("lets one call probe a target that was cut off, and only its answer closes the circuit", async () => {
    const client = open({ breaker: { consecutiveFailures: 1 }, maxRetries: 0, recoveryMs: 50 });
    const failAndWait = async (id: string, options?: CallOptions): Promise<void> => {
      await failure(ask(client, id, options));
      assert.equal(client.resilience.circuit.state, "open");
      await sleep(60);
    };
    await failAndWait("fail:UNAVAILABLE");
    // Still failing; then a caller that leaves, and one in a hurry: neither knows.
    await failAndWait("fail:UNAVAILABLE");
    await failAndWait("hang:probe", { signal: AbortSignal.timeout(20) });
    await failAndWait("hang:probe", { deadline: Date.now() + 10 });
    const probe = ask(client, "slow:40:probe");
    assert.equal(client.resilience.circuit.state, "half-open");
    assert.equal((await failure(ask(client, "ok:second"))).metadata.cause, "open");
    await probe;
    assert.equal(client.resilience.circuit.state, "closed");
    assert.equal(server.seen.filter(({ id }) => id === "ok:second").length, 0);
  });

  test("refuses a request that cannot be serialized without blaming the target", async () => {
    const client = open({ breaker: { consecutiveFailures: 1 } });
    const error = await failure(client.evaluate({ principal: 5 as never }));
    assert.equal(error.code, "INVALID_ARGUMENT");
    assert.equal(client.resilience.circuit.state, "closed");
  });
});

test("the breaker opens when the server is killed, and heals by itself when it is back", async () => {
  const metrics = createMetrics({ service: "auth-service", process: false });
  const states: string[] = [];
  const metric = async (): Promise<number | undefined> => {
    const found = await metrics.registry.getSingleMetric("circuit_breaker_state")?.get();
    return found?.values.find(({ labels }) => labels.target === "policy-service")?.value;
  };
  const server = await startChildServer("unary-server.ts");
  const client = connect(server.port, {
    recoveryMs: 200,
    observer: {
      breakerState: (target, state) => {
        states.push(state);
        metrics.breakerState(target, state);
      },
    },
  });
  try {
    // Connecting for the first time may take longer than one call may.
    await untilHealed(client);
    const inFlight = failure(ask(client, "hang"));
    await server.kill();
    assert.equal((await inFlight).code, "UNAVAILABLE");
    while (client.resilience.circuit.state !== "open") {
      const start = performance.now();
      const error = await failure(ask(client, "ok"));
      assert.ok(performance.now() - start < 1_000, "hung");
      assert.equal(error.code, "UNAVAILABLE");
      assert.equal(error.reason, "POLICY_UNAVAILABLE");
      assert.ok(error.retryAfterMs !== undefined);
    }
    assert.equal(await metric(), 1);
    const again = await startChildServer("unary-server.ts", server.port);
    try {
      await untilHealed(client);
      assert.equal(client.resilience.circuit.state, "closed");
      assert.equal(await metric(), 0);
      assert.ok(states.includes("half-open"));
    } finally {
      await again.kill();
    }
  } finally {
    client.close();
  }
});

test("sends a call again that the server refused unread, whatever it does; but once", async () => {
  let refusals = 0;
  let streams = 0;
  const server = createHttp2Server();
  server.on("stream", (stream) => {
    streams += 1;
    stream.on("error", () => {});
    if (refusals > 0) {
      refusals -= 1;
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    stream.respond({ "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    // An empty message.
    stream.end(Buffer.alloc(5));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const client = createServiceClient(AuthService, {
    target: "auth-service",
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    deadlineMs: 10_000,
  });
  try {
    refusals = 1;
    await client.authorize({});
    assert.equal(streams, 2);
    refusals = 2;
    assert.equal((await failure(client.authorize({}))).code, "UNAVAILABLE");
    assert.equal(streams, 4);
  } finally {
    client.close();
    server.close();
  }
});
