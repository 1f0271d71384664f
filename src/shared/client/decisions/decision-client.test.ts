import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { JsonObject } from "@bufbuild/protobuf";
import { Decision, DecisionReason } from "../../../../gen/gatehouse/policy/v1/decision_pb.ts";
import { ServiceError, statusCodes } from "../../service-error.ts";
import { startChildServer } from "../testing/child-server.ts";
import { expectedDecision } from "../testing/expected-decision.ts";
import { type StreamBehaviour, type StreamServer, startStreamServer } from "../testing/stream-server.ts";
import type { DecisionAnswer, DecisionClient, DecisionRequest } from "./decision.ts";
import { createDecisionClient, type DecisionClientOptions } from "./decision-client.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function serve(behaviour?: Partial<StreamBehaviour>): Promise<StreamServer> {
  const server = await startStreamServer(0, behaviour);
  cleanups.push(() => server.stop());
  return server;
}

function connect(port: number, options: Partial<DecisionClientOptions> = {}): DecisionClient {
  const client = createDecisionClient({
    target: "policy-service",
    address: `127.0.0.1:${port}`,
    unavailableReason: "POLICY_UNAVAILABLE",
    deadlineMs: 5_000,
    openTimeoutMs: 2_000,
    ...options,
  });
  cleanups.push(() => client.close());
  return client;
}

function ask(n: number | string, context?: JsonObject): DecisionRequest {
  const number = typeof n === "number" ? n : 0;
  return {
    principal: { type: "User", id: `user-${number % 17}` },
    action: { type: "Action", id: number % 3 === 0 ? "view" : "edit" },
    resource: { type: "Document", id: typeof n === "number" ? `document-${n}` : n },
    ...(context === undefined ? {} : { context }),
  };
}

/** Fails unless the answer is the one to this very question. */
function assertAnswers(request: DecisionRequest, answer: DecisionAnswer): void {
  const entityIds = request.entities?.map(({ uid }) => uid?.id ?? "") ?? [];
  const expected = expectedDecision({ ...request, entityIds });
  assert.equal(answer.decision, expected.allow ? Decision.ALLOW : Decision.DENY);
  assert.deepEqual(answer.determiningPolicies, expected.policies);
  assert.deepEqual(
    answer.errors.map(({ message }) => message),
    expected.error === undefined ? [] : [expected.error],
  );
  const denial = expected.indeterminate ? DecisionReason.INDETERMINATE : DecisionReason.NO_MATCH;
  const reason = expected.policies.length > 0 ? DecisionReason.FORBIDDEN : denial;
  assert.equal(answer.reason, expected.allow ? DecisionReason.PERMITTED : reason);
}

async function failure(call: Promise<unknown>): Promise<ServiceError> {
  const error = await call.then(
    () => assert.fail("expected an error"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ServiceError, String(error));
  return error;
}

/** Asks until one is answered; the client must heal by itself. */
async function untilHealed(client: DecisionClient, withinMs = 15_000): Promise<void> {
  const end = Date.now() + withinMs;
  for (;;) {
    try {
      await client.evaluate(ask(1));
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
      await sleep(10);
    }
  }
}

async function until(condition: () => boolean, withinMs = 10_000): Promise<void> {
  for (const end = Date.now() + withinMs; !condition(); await sleep(2)) assert.ok(Date.now() < end, "in vain");
}

describe("answers", () => {
  test("each question gets its own, whatever the order, form and mixture", async () => {
    const server = await serve({ maxDelayMs: 4, maxLists: 300, maxInFlight: 700, maxFrameItems: 200 });
    const client = connect(server.port, { maxBatch: 250, maxTableUids: 1_000, maxQueued: 50_000 });
    const requests = Array.from({ length: 6_000 }, (_, n): DecisionRequest => {
      if (n % 50 === 0) return ask(`fault-${n}`);
      if (n % 7 === 0) return ask(n, { nested: [{ n }], flag: n % 2 === 0 });
      if (n % 11 === 0) return { ...ask(n), entities: [{ uid: { type: "User", id: `own-${n}` } }] };
      return ask(n % 2_500);
    });
    const outcomes = await Promise.allSettled(
      requests.map(async (request, n) => {
        // From many places of the process, not in one go.
        if (n % 3 !== 0) await sleep(n % 40);
        return client.evaluate(request);
      }),
    );
    for (const [n, outcome] of outcomes.entries()) {
      const request = requests[n] as DecisionRequest;
      if (request.resource.id.startsWith("fault")) {
        assert.equal(outcome.status, "rejected");
        assert.equal(outcome.reason.code, "NOT_FOUND");
        assert.equal(outcome.reason.message, request.resource.id);
      } else {
        if (outcome.status === "rejected") throw outcome.reason;
        assertAnswers(request, outcome.value);
      }
    }
    assert.deepEqual(server.violations, []);
    assert.ok(server.counts.rows > 0 && server.counts.resets > 0, "rows and resets were seen");
    assert.equal(server.counts.streams, 1);
    assert.ok(server.frames.length < requests.length / 4, `${server.frames.length} frames`);
  });

  test("the same question, asked by many at once, is answered to each", async () => {
    const server = await serve();
    const client = connect(server.port);
    for (const context of [undefined, { mfa: true }]) {
      const answers = await Promise.all(Array.from({ length: 100 }, () => client.evaluate(ask(5, context))));
      for (const answer of answers) assertAnswers(ask(5, context), answer);
    }
    assert.equal(server.counts.items, 200);
  });

  test("the request is taken as it was when it was asked", async () => {
    const server = await serve();
    const client = connect(server.port);
    const context: JsonObject = { mfa: true, list: [1] };
    const request = { ...ask(1, context), resource: { type: "Document", id: "before" } };
    const asked = structuredClone(request);
    const answer = client.evaluate(request);
    context.mfa = false;
    (context.list as number[]).push(2);
    request.resource.id = "after";
    assertAnswers(asked, await answer);
  });

  test("carry the revision that made them", async () => {
    const server = await serve();
    const client = connect(server.port);
    assert.equal((await client.evaluate(ask(1))).revision, "1-reference");
    for (const stream of server.live) stream.changeRevision("2-reference");
    assert.equal((await client.evaluate(ask(2))).revision, "2-reference");
  });

  test("an idle client sends at once; a busy one in company", async () => {
    const server = await serve();
    const client = connect(server.port, { maxDelayMs: 60_000 });
    await client.evaluate(ask(1));
    await client.evaluate(ask(2));
    assert.deepEqual(server.frames, [1, 1]);
    await Promise.all(Array.from({ length: 500 }, (_, n) => client.evaluate(ask(n))));
    assert.ok(server.frames.length <= 4, `${server.frames.length} frames`);
  });

  test("faulty requests are refused alone, naming the field", async () => {
    const server = await serve();
    const client = connect(server.port, { maxFrameBytes: 20_000 });
    const cyclic: JsonObject = {};
    cyclic.self = cyclic;
    cyclic.again = [cyclic, cyclic];
    const deep = JSON.parse(`${'{"a":'.repeat(40)}1${"}".repeat(40)}`) as JsonObject;
    const cases: [DecisionRequest, string, string?][] = [
      [{ ...ask(1), principal: { type: "", id: "x" } }, "INVALID_ARGUMENT", "principal.type"],
      [{ ...ask(1), principal: undefined as never }, "INVALID_ARGUMENT", "principal.type"],
      [{ ...ask(1), resource: { type: "D", id: "x".repeat(1_025) } }, "INVALID_ARGUMENT", "resource.id"],
      [{ ...ask(1), resource: { type: "D", id: "\ud800" } }, "INVALID_ARGUMENT", "resource.id"],
      [ask(1, { age: 1.5 }), "INVALID_ARGUMENT", "context.age"],
      [ask(1, { list: [0, 2 ** 53] }), "INVALID_ARGUMENT", "context.list[1]"],
      [ask(1, { a: { b: undefined as never } }), "INVALID_ARGUMENT", "context.a.b"],
      [ask(1, JSON.parse('{"__proto__": {"admin": true}}') as JsonObject), "INVALID_ARGUMENT", "context"],
      [ask(1, deep), "INVALID_ARGUMENT", `context${".a".repeat(33)}`],
      [ask(1, { text: "x".repeat(30_000) }), "RESOURCE_EXHAUSTED"],
      [ask(1, cyclic), "RESOURCE_EXHAUSTED"],
    ];
    const neighbours = Array.from({ length: 20 }, (_, n) => client.evaluate(ask(n)));
    for (const [request, code, field] of cases) {
      const error = await failure(client.evaluate(request));
      assert.equal(error.code, code, error.message);
      assert.equal(error.violations[0]?.field, field);
    }
    for (const [n, answer] of neighbours.entries()) assertAnswers(ask(n), await answer);
    assert.equal(server.counts.items, 20);
  });

  test("large requests are spread over frames below the limit of a message", async () => {
    const server = await serve({ maxDelayMs: 2 });
    const client = connect(server.port);
    const requests = Array.from({ length: 40 }, (_, n) => ask(n, { text: `${n}`.repeat(50_000) }));
    const answers = await Promise.all(requests.map((request) => client.evaluate(request)));
    for (const [n, answer] of answers.entries()) assertAnswers(requests[n] as DecisionRequest, answer);
  });

  for (const [name, tamper] of [
    ["too few decisions", { decisions: [] }],
    ["another frame", { frameId: 4_711 }],
    ["an unknown policy list", { policyLists: [9_999] }],
    ["a fault of an item not asked", { faults: [{ $typeName: "gatehouse.policy.v1.ColumnFault", index: 7 }] }],
  ] as const) {
    test(`an answer with ${name} is an error, never a decision`, async () => {
      const server = await serve({
        tamper: (frame) =>
          frame.case === "columns" ? { case: "columns", value: { ...frame.value, ...(tamper as object) } } : frame,
      });
      const error = await failure(connect(server.port).evaluate(ask(1)));
      assert.equal(error.code, "INTERNAL");
      assert.equal(error.reason, "PROTOCOL_ERROR");
    });
  }

  test("an answer without a decision is an error of its question alone", async () => {
    const server = await serve({
      tamper: (frame) =>
        frame.case === "columns"
          ? { case: "columns", value: { ...frame.value, decisions: [0, 2], policyLists: [0] } }
          : frame,
    });
    const client = connect(server.port);
    const [undecided, denied] = await Promise.allSettled([client.evaluate(ask(1)), client.evaluate(ask(2))]);
    assert.equal(undecided.status === "rejected" && undecided.reason.reason, "NO_DECISION");
    assert.equal(denied.status === "fulfilled" && denied.value.decision, Decision.DENY);
  });
});

describe("time", () => {
  test("every question is answered by its own deadline while the server is silent", async () => {
    const server = await serve({ isSilent: true });
    const client = connect(server.port, { deadlineMs: 300 });
    const calls = Array.from({ length: 300 }, async (_, n) => {
      const own = n % 2 === 0 ? undefined : Date.now() + 20 + n / 2;
      const error = await failure(client.evaluate(ask(n), { deadline: own }));
      assert.equal(error.code, own === undefined ? "UNAVAILABLE" : "DEADLINE_EXCEEDED", error.message);
      if (error.code === "UNAVAILABLE") assert.ok((error.retryAfterMs ?? 0) > 0);
    });
    await Promise.all(calls);
  });

  test("a question whose time is over, or whose caller has left, is not sent", async () => {
    const server = await serve();
    const client = connect(server.port);
    assert.equal((await failure(client.evaluate(ask(1), { deadline: Date.now() - 1 }))).code, "DEADLINE_EXCEEDED");
    assert.equal((await failure(client.evaluate(ask(1), { signal: AbortSignal.abort() }))).code, "CANCELLED");
    const controller = new AbortController();
    const calls = [failure(client.evaluate(ask(1), { signal: controller.signal })), client.evaluate(ask(2))] as const;
    controller.abort();
    assert.equal((await calls[0]).code, "CANCELLED");
    assertAnswers(ask(2), await calls[1]);
    assert.equal(server.counts.items, 1);
  });

  test("one that leaves does not disturb its neighbours in the frame", async () => {
    const server = await serve({ maxDelayMs: 30 });
    const client = connect(server.port);
    const controller = new AbortController();
    const calls = Array.from({ length: 20 }, (_, n) =>
      client.evaluate(ask(n), n % 2 === 0 ? { signal: controller.signal } : {}),
    );
    const settled = Promise.allSettled(calls);
    await until(() => server.counts.items === 20);
    controller.abort();
    for (const [n, outcome] of (await settled).entries()) {
      if (outcome.status === "fulfilled") assertAnswers(ask(n), outcome.value);
      else assert.equal(n % 2 === 0 && outcome.reason.code, "CANCELLED");
    }
  });
});

describe("overload and failure", () => {
  test("questions beyond the queue are turned away, and the credit is kept", async () => {
    const server = await serve({ maxInFlight: 10, maxDelayMs: 5 });
    const client = connect(server.port, { maxQueued: 100 });
    const outcomes = await Promise.allSettled(Array.from({ length: 300 }, (_, n) => client.evaluate(ask(n))));
    const refused = outcomes.filter((outcome) => outcome.status === "rejected");
    assert.equal(refused.length, 200);
    for (const { reason } of refused) assert.equal(reason.metadata.cause, "overflow");
    assert.deepEqual(server.violations, []);
  });

  test("a server that answers nothing is cut off, and served again when it answers", async () => {
    const server = await serve({ isSilent: true });
    const states: string[] = [];
    const client = connect(server.port, {
      deadlineMs: 40,
      recoveryMs: 100,
      observer: { breakerState: (_, state) => void states.push(state) },
    });
    while (!states.includes("open")) await failure(client.evaluate(ask(1)));
    const before = server.counts.items;
    const error = await failure(client.evaluate(ask(1)));
    assert.equal(error.reason, "POLICY_UNAVAILABLE");
    assert.equal(error.metadata.cause, "open");
    assert.equal(server.counts.items, before);
    server.behaviour.isSilent = false;
    await untilHealed(client);
    assert.deepEqual(states.slice(-3), ["open", "half-open", "closed"]);
  });

  test("a server that does not even open the stream is cut off", async () => {
    const server = await serve({ ignoresOpen: true });
    const states: string[] = [];
    const client = connect(server.port, {
      deadlineMs: 40,
      openTimeoutMs: 30,
      recoveryMs: 50,
      observer: { breakerState: (_, state) => void states.push(state) },
    });
    while (!states.includes("open")) await failure(client.evaluate(ask(1)));
    server.behaviour.ignoresOpen = false;
    await untilHealed(client);
  });

  test("a draining server finishes what it has; the rest goes to another stream unnoticed", async () => {
    const server = await serve({ maxDelayMs: 10 });
    const client = connect(server.port, { maxQueued: 50_000 });
    const calls: Promise<void>[] = [];
    for (let n = 0; n < 2_000; n++) {
      const request = ask(n);
      calls.push(client.evaluate(request).then((answer) => assertAnswers(request, answer)));
      if (n % 20 === 0) await sleep(1);
      if (n % 400 === 200) for (const stream of server.live) stream.drain();
    }
    await Promise.all(calls);
    assert.ok(server.counts.streams >= 5, `${server.counts.streams} streams`);
    assert.deepEqual(server.violations, []);
  });

  test("old streams are replaced without a loss", async () => {
    const server = await serve({ maxDelayMs: 10 });
    const client = connect(server.port, { maxStreamAgeMs: 20 });
    const calls: Promise<void>[] = [];
    for (let n = 0; n < 1_000; n++) {
      const request = ask(n);
      calls.push(client.evaluate(request).then((answer) => assertAnswers(request, answer)));
      if (n % 5 === 0) await sleep(1);
    }
    await Promise.all(calls);
    assert.ok(server.counts.streams > 3, `${server.counts.streams} streams`);
    await until(() => server.live.size <= 1);
  });

  test("what a broken stream left is asked again, within the budget", async () => {
    const server = await serve({ isSilent: true });
    const retried: number[] = [];
    // Only as many as may be in flight are asked again: later ones must first earn it.
    const client = connect(server.port, {
      maxInFlight: 50,
      observer: { retried: (_, calls) => void retried.push(calls) },
    });
    const breakStreams = (): void => {
      for (const stream of server.live) stream.end(statusCodes.UNAVAILABLE);
    };
    const calls = Array.from({ length: 50 }, (_, n) => client.evaluate(ask(n)));
    const settled = Promise.allSettled(calls);
    await until(() => server.counts.items === 50);
    breakStreams();
    await until(() => server.counts.items === 100);
    server.behaviour.isSilent = false;
    breakStreams();
    const outcomes = await settled;
    const answered = outcomes.filter(({ status }) => status === "fulfilled").length;
    assert.equal(retried[0], 50);
    assert.ok(answered <= 5, `${answered} were asked a third time`);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") assert.equal(outcome.reason.code, "UNAVAILABLE");
    }
  });

  test("a stream that is refused refuses what waits for it, and is not asked again", async () => {
    const server = await serve({ isSilent: true });
    const client = connect(server.port);
    const call = failure(client.evaluate(ask(1)));
    await until(() => server.counts.items === 1);
    for (const stream of server.live) stream.end(statusCodes.PERMISSION_DENIED);
    assert.equal((await call).code, "PERMISSION_DENIED");
    assert.equal(server.counts.items, 1);
  });

  test("closing the client ends what waits", async () => {
    const server = await serve({ isSilent: true });
    const client = connect(server.port);
    const calls = Array.from({ length: 20 }, (_, n) => failure(client.evaluate(ask(n))));
    await until(() => server.counts.items === 20);
    client.close();
    for (const call of calls) assert.equal((await call).code, "CANCELLED");
    assert.equal((await failure(client.evaluate(ask(1)))).code, "CANCELLED");
  });
});

test("thousands of questions, callers that leave, a server killed again and again: each gets exactly one answer", async () => {
  let server = await startChildServer("stream-server.ts");
  const { port } = server;
  const client = connect(port, { deadlineMs: 1_000, recoveryMs: 100, maxQueued: 50_000 });
  await untilHealed(client);
  const tally = { right: 0, unavailable: 0, left: 0, late: 0 };
  let asked = 0;
  let settled = 0;
  const inquire = async (): Promise<void> => {
    const n = asked++;
    const request = n % 9 === 0 ? { ...ask(n), entities: [{ uid: { type: "User", id: `own-${n}` } }] } : ask(n, { n });
    const controller = new AbortController();
    const leaves = n % 5 === 0;
    if (leaves) setTimeout(() => controller.abort(), Math.random() * 20);
    let answers = 0;
    const call = client.evaluate(request, {
      ...(leaves ? { signal: controller.signal } : {}),
      ...(n % 7 === 0 ? { deadline: Date.now() + Math.random() * 50 } : {}),
    });
    try {
      assertAnswers(request, await call.finally(() => answers++));
      tally.right += 1;
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      if (error.code === "UNAVAILABLE") tally.unavailable += 1;
      else if (error.code === "CANCELLED" && leaves) tally.left += 1;
      else if (error.code === "DEADLINE_EXCEEDED" && n % 7 === 0) tally.late += 1;
      else throw error;
    }
    assert.equal(answers, 1);
    settled += 1;
  };
  let isOver = false;
  const askers = Array.from({ length: 300 }, async () => {
    while (!isOver) {
      await inquire();
      await sleep(Math.random() * 4);
    }
  });
  const all = Promise.all(askers);
  for (let round = 0; round < 3; round++) {
    await sleep(400);
    await server.kill();
    await sleep(50);
    server = await startChildServer("stream-server.ts", port);
    await Promise.race([untilHealed(client), all]);
  }
  await sleep(300);
  isOver = true;
  await all;
  await server.kill();
  assert.equal(settled, asked);
  assert.equal(tally.right + tally.unavailable + tally.left + tally.late, asked);
  assert.ok(tally.right > 1_000, JSON.stringify(tally));
  assert.ok(tally.unavailable > 0 && tally.left > 0, JSON.stringify(tally));
});
