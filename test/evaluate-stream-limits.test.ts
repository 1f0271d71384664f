import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { after, before, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import type { Client, ServiceError } from "@grpc/grpc-js";
import { EvaluateStreamRequestSchema, type EvaluateStreamResponse } from "../gen/gatehouse/policy/v1/stream_pb.ts";
import { frame as lengthPrefixed } from "../src/shared/rpc/testing/raw-grpc.ts";
import { type Deployment, startDeployment } from "./support/deployment.ts";
import { connect, openStream, type TestStream } from "./support/evaluate-stream.ts";
import { until } from "./support/until.ts";

let deployment: Deployment;
let client: Client;

before(async () => {
  deployment = await startDeployment({ STREAM_IDLE_TIMEOUT: "1s", DRAIN_GRACE: "5s" });
  client = connect(deployment.ports.policy);
});
after(async () => {
  client.close();
  await deployment.close();
});

const user = (id: string) => ({ type: "User", id });
const edit = { type: "Action", id: "edit" };
const handbook = { type: "Document", id: "handbook" };
const row = (id: string, extra: object = {}) => ({
  id,
  principal: user("alice"),
  action: edit,
  resource: handbook,
  ...extra,
});
/** Slow: an overlay of its own. */
const slowRow = (id: string) =>
  row(id, { entities: [{ uid: user("alice"), parents: [{ type: "Role", id: "editor" }] }] });
const columns = (frameId: number, items: number, extra: object = {}) => ({
  case: "columns" as const,
  value: { frameId, principals: new Array<number>(items).fill(0), actions: [1], resources: [2], ...extra },
});
const table = { uids: [user("alice"), edit, handbook] };

async function opened(deadline?: number): Promise<TestStream> {
  const stream = openStream(client, deadline === undefined ? {} : { deadline });
  stream.send({ case: "open", value: {} });
  assert.equal((await stream.next()).case, "opened");
  return stream;
}

async function statusOf(stream: TestStream): Promise<ServiceError> {
  for (;;) {
    try {
      await stream.next();
    } catch (error) {
      return error as ServiceError;
    }
  }
}

/** Results of rows until there are `count` of them. */
async function rowResults(stream: TestStream, count: number) {
  const all = [];
  while (all.length < count) {
    const frame: EvaluateStreamResponse["frame"] = await stream.next();
    if (frame.case === "rows") all.push(...frame.value.results);
  }
  return all;
}

test("a frame of nothing but faults is answered, in rows and in columns", async () => {
  const stream = await opened();
  const items = Array.from({ length: 10_000 }, (_, n) => ({ id: String(n), principal: { type: "no type", id: "x" } }));
  stream.send({ case: "rows", value: { items } });
  const results = await rowResults(stream, 10_000);
  assert.ok(results.every(({ result }) => result.case === "error" && result.value.code === 3));
  stream.send(columns(1, 10_000));
  const answer = await stream.next();
  assert.equal(answer.case === "columns" && answer.value.faults.length, 10_000);
  stream.send({ case: "rows", value: { items: [row("last")] } });
  const [last] = await rowResults(stream, 1);
  assert.equal(last?.result.case, "decision");
  stream.raw.end();
});

test("a silent stream is ended, with a reason; one that speaks is not", async () => {
  const silent = await opened();
  const busy = await opened();
  const speaking = setInterval(() => busy.send(columns(1, 1)), 200);
  busy.send(columns(1, 1, table));
  const { code, details } = await statusOf(silent);
  assert.deepEqual([code, details], [4, "The stream was silent for too long."]);
  clearInterval(speaking);
  busy.raw.end();
  assert.match((await statusOf(busy)).message, /ended well/);
});

test("an item whose time is over is not evaluated; its neighbours are", async () => {
  const stream = await opened();
  const slow = Array.from({ length: 5_000 }, (_, n) => slowRow(String(n)));
  stream.send({ case: "rows", value: { items: [...slow, row("late", { timeoutMs: 1 }), row("patient")] } });
  const results = await rowResults(stream, 5_002);
  const late = results.find(({ id }) => id === "late")?.result;
  assert.equal(late?.case === "error" && late.value.code, 4);
  const others = results.filter(({ id }) => id !== "late");
  assert.ok(others.every(({ result }) => result.case === "decision"));
  stream.raw.end();
});

test("the deadline of a stream ends it", async () => {
  const stream = await opened(Date.now() + 400);
  const speaking = setInterval(() => stream.send(columns(1, 1, table)), 50);
  const { code } = await statusOf(stream);
  clearInterval(speaking);
  assert.equal(code, 4);
});

test("a half-closed stream still gets all its answers", async () => {
  const stream = await opened();
  stream.send(columns(0, 10_000, table));
  for (let frameId = 1; frameId < 200; frameId += 1) stream.send(columns(frameId, 10_000));
  stream.raw.end();
  for (let frameId = 0; frameId < 200; frameId += 1) {
    const answer = await stream.next();
    assert.deepEqual(answer.case === "columns" && [answer.value.frameId, answer.value.decisions.length], [
      frameId,
      10_000,
    ]);
  }
  await assert.rejects(stream.next(), /ended well/);
});

/** Connections that policy-service has, on both ports. */
async function connections(): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${deployment.ports.policyHttp}/metrics`)).text();
  return Number(/^service_active_connections\{[^}]*\} (\d+)$/m.exec(text)?.[1]);
}

test("a client that dies in the middle of a frame takes nobody with it", async () => {
  const bytes = lengthPrefixed(
    toBinary(
      EvaluateStreamRequestSchema,
      create(EvaluateStreamRequestSchema, { frame: { case: "rows", value: { items: [row("never finished")] } } }),
    ),
  );
  const open = lengthPrefixed(
    toBinary(EvaluateStreamRequestSchema, create(EvaluateStreamRequestSchema, { frame: { case: "open", value: {} } })),
  );
  const before = await connections();
  for (let at = 1; at < bytes.length; at += 7) {
    const session = connectHttp2(`http://127.0.0.1:${deployment.ports.policy}`);
    const stream = session.request({
      ":method": "POST",
      ":path": "/gatehouse.policy.v1.PolicyService/EvaluateStream",
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.on("error", () => {});
    stream.write(open);
    stream.write(bytes.subarray(0, at));
    await new Promise((resolve) => stream.once("data", resolve));
    session.destroy();
  }
  const stream = await opened();
  stream.send({ case: "rows", value: { items: [row("1")] } });
  assert.equal((await rowResults(stream, 1)).length, 1);
  stream.raw.end();
  await until("their connections are gone", async () => (await connections()) <= before);
});

test("a drain under load: every frame that was taken is answered once, and the last is named", async () => {
  const streams = await Promise.all(Array.from({ length: 20 }, () => opened()));
  const outcomes = streams.map(async (stream) => {
    const answered: number[] = [];
    let announced: number | undefined;
    stream.send(columns(1, 1_000, table));
    let sent = 1;
    for (;;) {
      try {
        const frame = await stream.next();
        if (frame.case === "draining") announced = frame.value.lastFrameId;
        if (frame.case !== "columns") continue;
        answered.push(frame.value.frameId);
        sent += 1;
        stream.send(columns(sent, 1_000));
      } catch (error) {
        return { answered, announced, code: (error as ServiceError).code };
      }
    }
  });
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(await deployment.policy.stop(), 0);
  for (const { answered, announced, code } of await Promise.all(outcomes)) {
    assert.equal(code, 14);
    assert.deepEqual(
      answered,
      answered.map((_, index) => index + 1),
      "in order, none twice",
    );
    assert.equal(announced, answered.at(-1), "the last that was answered");
  }
});
