import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client, ServiceError } from "@grpc/grpc-js";
import { Decision, DecisionReason } from "../gen/gatehouse/policy/v1/decision_pb.ts";
import type { EvaluateStreamResponse } from "../gen/gatehouse/policy/v1/stream_pb.ts";
import { type Deployment, startDeployment } from "./support/deployment.ts";
import { connect, openStream, type TestStream } from "./support/evaluate-stream.ts";

let deployment: Deployment;
let client: Client;
let policies: string;

before(async () => {
  policies = mkdtempSync(join(tmpdir(), "gatehouse-policies-"));
  cpSync("policies/documents", policies, { recursive: true });
  deployment = await startDeployment({ POLICY_DIR: policies, DRAIN_GRACE: "2s" });
  client = connect(deployment.ports.policy);
});
after(async () => {
  client.close();
  await deployment.close();
  rmSync(policies, { recursive: true });
});

type Frame = EvaluateStreamResponse["frame"];
type FrameOf<C extends Frame["case"]> = Extract<Frame, { case: C }>["value"];

function expectFrame<C extends Frame["case"]>(frame: Frame, kind: C): FrameOf<C> {
  assert.equal(frame.case, kind);
  return frame.value as FrameOf<C>;
}

async function opened(open: object = {}): Promise<TestStream> {
  const stream = openStream(client);
  stream.send({ case: "open", value: open });
  expectFrame(await stream.next(), "opened");
  return stream;
}

async function statusOf(stream: TestStream): Promise<number> {
  for (;;) {
    try {
      await stream.next();
    } catch (error) {
      return (error as ServiceError).code;
    }
  }
}

const user = (id: string) => ({ type: "User", id });
const action = (id: string) => ({ type: "Action", id });
const document = (id: string) => ({ type: "Document", id });
const row = (id: string, who: string, what: string, which = "handbook") => ({
  id,
  principal: user(who),
  action: action(what),
  resource: document(which),
});
const table = [
  user("alice"),
  user("bob"),
  action("edit"),
  action("view"),
  document("handbook"),
  document("constitution"),
];

test("rows are answered by id; good and bad ones do not disturb each other", async () => {
  const stream = await opened();
  stream.send({
    case: "rows",
    value: {
      items: [
        row("1", "alice", "edit"),
        row("2", "bob", "edit"),
        { id: "3", principal: user("alice") },
        row("1", "bob", "view"),
        row("", "bob", "view"),
        row("x".repeat(65), "bob", "view"),
        row("4", "alice", "explode"),
        { ...row("5", "alice", "view"), context: { color: "red" } },
        { ...row("6", "carol", "edit"), entities: [{ uid: user("carol"), parents: [{ type: "Role", id: "editor" }] }] },
        row("7", "carol", "edit"),
        row("8", "alice", "edit", "constitution"),
      ],
    },
  });
  const { results } = expectFrame(await stream.next(), "rows");
  const outcomes = results.map(({ id, result }) =>
    result.case === "decision"
      ? [id, result.value.decision, result.value.reason]
      : [id.slice(0, 2), result.value?.code],
  );
  assert.deepEqual(outcomes, [
    ["1", Decision.ALLOW, DecisionReason.PERMITTED],
    ["2", Decision.DENY, DecisionReason.NO_MATCH],
    ["3", 3],
    ["1", 6],
    ["", 3],
    ["xx", 3],
    ["4", 3],
    ["5", 3],
    ["6", Decision.ALLOW, DecisionReason.PERMITTED],
    ["7", Decision.DENY, DecisionReason.NO_MATCH],
    ["8", Decision.DENY, DecisionReason.FORBIDDEN],
  ]);
  stream.raw.end();
  await assert.rejects(stream.next(), /ended well/);
});

test("columns are answered item by item; tables of uids and of policies last as long as the stream", async () => {
  const stream = await opened();
  stream.send({
    case: "columns",
    value: {
      frameId: 7,
      uids: table,
      principals: [0, 1, 0, 1, 0, 9],
      actions: [2, 2, 3, 3, 2, 2],
      resources: [4, 4, 4, 4, 5, 4],
    },
  });
  const first = expectFrame(await stream.next(), "columns");
  assert.equal(first.frameId, 7);
  assert.deepEqual(first.decisions, [1, 2, 1, 1, 2, 0]);
  const lists: string[][] = [[], ...first.newPolicyLists.map(({ policyIds }) => policyIds)];
  assert.deepEqual(
    first.policyLists.map((index) => lists[index]),
    [["editors-edit"], [], ["editors-edit"], ["viewers-view"], ["locked-documents"], []],
  );
  assert.deepEqual(
    first.faults.map(({ index, error }) => [index, error?.code]),
    [[5, 3]],
  );

  stream.send({
    case: "columns",
    value: {
      frameId: 8,
      principals: [0, 1],
      actions: [2],
      resources: [4],
      contexts: [{ mfa: true }, { color: 1 }],
      contextIndexes: [1, 2],
    },
  });
  const second = expectFrame(await stream.next(), "columns");
  assert.deepEqual(second.decisions, [1, 0]);
  assert.deepEqual(second.newPolicyLists, [], "a list is told once");
  assert.deepEqual(lists[second.policyLists[0] ?? 0], ["editors-edit"]);

  stream.send({
    case: "columns",
    value: { frameId: 9, resetTable: true, uids: [user("bob")], principals: [0], actions: [2], resources: [4] },
  });
  const third = expectFrame(await stream.next(), "columns");
  assert.deepEqual(
    third.faults.map(({ index }) => index),
    [0],
    "the table was emptied",
  );
  stream.raw.end();
});

test("shared entities and context hold for all items, and credit is kept", async () => {
  const carol = { uid: user("carol"), parents: [{ type: "Role", id: "editor" }] };
  const stream = await opened({ entities: [carol], context: { mfa: true }, maxInFlight: 2 });
  stream.send({
    case: "columns",
    value: {
      frameId: 1,
      uids: [user("carol"), action("edit"), document("handbook")],
      principals: [0, 0, 0],
      actions: [1],
      resources: [2],
    },
  });
  const { decisions, faults } = expectFrame(await stream.next(), "columns");
  assert.deepEqual(decisions, [1, 1, 0]);
  assert.deepEqual(
    faults.map(({ index, error }) => [index, error?.code]),
    [[2, 8]],
  );
  stream.raw.end();
});

test("only protocol errors end a stream", async () => {
  const unopened = openStream(client);
  unopened.send({ case: "rows", value: { items: [] } });
  assert.equal(await statusOf(unopened), 3);
  const twice = await opened();
  twice.send({ case: "open", value: {} });
  assert.equal(await statusOf(twice), 3);
  const unknown = openStream(client);
  unknown.send({ case: "open", value: { revision: "9-000000000000" } });
  assert.equal(await statusOf(unknown), 5);
});

test("1,000 streams live on one connection", async () => {
  const streams = await Promise.all(Array.from({ length: 1_000 }, () => opened()));
  const answers = await Promise.all(
    streams.map(async (stream, index) => {
      stream.send({ case: "rows", value: { items: [row(String(index), index % 2 === 0 ? "alice" : "bob", "edit")] } });
      const { results } = expectFrame(await stream.next(), "rows");
      stream.raw.end();
      return results[0];
    }),
  );
  for (const [index, answer] of answers.entries()) {
    assert.equal(answer?.id, String(index));
    const { result } = answer;
    assert.equal(result.case === "decision" && result.value.decision, index % 2 === 0 ? Decision.ALLOW : Decision.DENY);
  }
});

test("a reader that stops does not grow the server's memory, and misses nothing when it goes on", async () => {
  const memory = async (): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${deployment.ports.policyHttp}/metrics`)).text();
    return Number(/^process_resident_memory_bytes(?:\{[^}]*\})? (\S+)$/m.exec(text)?.[1]);
  };
  const stream = await opened();
  const items = 10_000;
  const frames = 2_000;
  const column = Array.from({ length: items }, (_, index) => index % 2);
  stream.send({
    case: "columns",
    value: { frameId: 0, uids: table, principals: column, actions: [2], resources: [4] },
  });
  expectFrame(await stream.next(), "columns");
  stream.raw.pause();
  const before = await memory();
  for (let frameId = 1; frameId <= frames; frameId += 1) {
    stream.send({ case: "columns", value: { frameId, principals: column, actions: [2], resources: [4] } });
  }
  await sleep(2_000);
  const growth = (await memory()) - before;
  // Unbounded, 20,000,000 answers would take at least 40 MB on the wire and far more in memory.
  assert.ok(growth < 64 * 2 ** 20, `grew by ${Math.round(growth / 2 ** 20)} MiB`);
  stream.raw.resume();
  for (let frameId = 1; frameId <= frames; frameId += 1) {
    const answer = expectFrame(await stream.next(), "columns");
    assert.equal(answer.frameId, frameId);
    assert.equal(answer.decisions.length, items);
  }
  stream.raw.end();
});

test("a caller that vanishes disturbs nobody", async () => {
  const gone = await opened();
  gone.send({ case: "rows", value: { items: [row("1", "alice", "edit")] } });
  gone.raw.cancel();
  await assert.rejects(async () => {
    for (;;) await gone.next();
  });
  const stream = await opened();
  stream.send({ case: "rows", value: { items: [row("1", "alice", "edit")] } });
  assert.equal(expectFrame(await stream.next(), "rows").results.length, 1);
  stream.raw.end();
});

test("a stream of the latest revision follows it and says so; a pinned one stays", async () => {
  const latest = openStream(client);
  latest.send({ case: "open", value: {} });
  const { revision } = expectFrame(await latest.next(), "opened");
  const pinned = await opened({ revision });
  const columns = { uids: table, principals: [1], actions: [2], resources: [4] };
  for (const stream of [latest, pinned]) {
    stream.send({ case: "columns", value: { frameId: 1, ...columns } });
    assert.deepEqual(expectFrame(await stream.next(), "columns").decisions, [2]);
  }
  const file = join(policies, "policies.cedar");
  const good = readFileSync(file, "utf8");
  writeFileSync(
    file,
    `${good}\n@id("viewers-edit")\npermit (principal in Role::"viewer", action == Action::"edit", resource is Document);\n`,
  );
  let frame: Frame;
  let frameId = 2;
  do {
    await sleep(50);
    latest.send({ case: "columns", value: { frameId, principals: [1], actions: [2], resources: [4] } });
    frame = await latest.next();
    frameId += 1;
    assert.ok(frameId < 200, "the change is seen within 10 s");
  } while (frame.case === "columns");
  const changed = expectFrame(frame, "revisionChanged");
  assert.notEqual(changed.revision, revision);
  const answer = expectFrame(await latest.next(), "columns");
  assert.deepEqual(answer.decisions, [1]);
  assert.equal(answer.resetPolicyLists, true);
  assert.deepEqual(
    answer.newPolicyLists.map(({ policyIds }) => policyIds),
    [["viewers-edit"]],
  );
  pinned.send({ case: "columns", value: { frameId: 2, principals: [1], actions: [2], resources: [4] } });
  assert.deepEqual(expectFrame(await pinned.next(), "columns").decisions, [2]);
  latest.raw.end();
  pinned.raw.end();
  writeFileSync(file, good);
});

test("a drain is announced with the last answers, then the stream is UNAVAILABLE", async () => {
  const stream = await opened();
  stream.send({ case: "rows", value: { items: [row("last", "alice", "edit")] } });
  expectFrame(await stream.next(), "rows");
  const stopped = deployment.policy.stop();
  const draining = expectFrame(await stream.next(), "draining");
  assert.equal(draining.lastRowId, "last");
  assert.equal(await statusOf(stream), 14);
  assert.equal(await stopped, 0);
});
