import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Decision } from "../gen/gatehouse/policy/v1/decision_pb.ts";
import { PolicyService } from "../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { type Deployment, startDeployment } from "./support/deployment.ts";

let deployment: Deployment;

before(async () => {
  deployment = await startDeployment();
});
after(async () => {
  await deployment.close();
});

function client() {
  return createClient(PolicyService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${deployment.ports.policy}` }));
}

const user = (id: string) => ({ type: "User", id });
const action = (id: string) => ({ type: "Action", id });
const document = (id: string) => ({ type: "Document", id });

test("items are answered in order; they may override what they share; a bad one spoils no other", async () => {
  const { results, revision, batchId } = await client().evaluateBatch({
    principal: user("alice"),
    items: [
      { action: action("edit"), resource: document("handbook") },
      { principal: user("bob"), action: action("edit"), resource: document("handbook") },
      { action: action("edit") },
      { action: action("edit"), resource: { type: "", id: "x" } },
      { action: action("explode"), resource: document("handbook") },
      { action: action("edit"), resource: document("handbook"), context: { color: "red" } },
      { action: action("edit"), resource: document("constitution") },
      { principal: user("bob"), action: action("view"), resource: document("handbook"), context: { mfa: true } },
    ],
  });
  const outcomes = results.map(({ result }) =>
    result.case === "decision" ? [result.value.decision, ...result.value.determiningPolicies] : result.value?.code,
  );
  assert.deepEqual(outcomes, [
    [Decision.ALLOW, "editors-edit"],
    [Decision.DENY],
    3,
    3,
    3,
    3,
    [Decision.DENY, "locked-documents"],
    [Decision.ALLOW, "viewers-view"],
  ]);
  assert.match(revision, /^1-/);
  assert.notEqual(batchId, "");
});

test("shared entities lie over the resident ones for every item", async () => {
  const { results } = await client().evaluateBatch({
    entities: [{ uid: user("carol"), parents: [{ type: "Role", id: "editor" }] }],
    items: [
      { principal: user("carol"), action: action("edit"), resource: document("handbook") },
      { principal: user("alice"), action: action("edit"), resource: document("handbook") },
      { principal: user("dave"), action: action("edit"), resource: document("handbook") },
    ],
  });
  assert.deepEqual(
    results.map(({ result }) => (result.case === "decision" ? result.value.decision : undefined)),
    [Decision.ALLOW, Decision.ALLOW, Decision.DENY],
  );
});

test("10,000 items are answered, each its own", async () => {
  const items = Array.from({ length: 10_000 }, (_, index) => ({
    principal: user(index % 3 === 0 ? "alice" : "bob"),
    action: action(index % 2 === 0 ? "edit" : "view"),
    resource: document("handbook"),
  }));
  const { results } = await client().evaluateBatch({ items });
  assert.equal(results.length, items.length);
  for (const [index, { result }] of results.entries()) {
    const expected = index % 3 === 0 || index % 2 === 1 ? Decision.ALLOW : Decision.DENY;
    assert.equal(result.case === "decision" && result.value.decision, expected, `item ${index}`);
  }
});

test("a batch of nothing, of too much, or of an unknown revision is refused whole", async () => {
  const code = async (call: Promise<unknown>) =>
    await call.then(
      () => "accepted",
      (error: unknown) => Code[ConnectError.from(error).code],
    );
  const item = { action: action("view"), resource: document("handbook") };
  assert.equal(await code(client().evaluateBatch({ items: [] })), "InvalidArgument");
  const tooMany = Array.from({ length: 10_001 }, () => item);
  assert.equal(await code(client().evaluateBatch({ principal: user("bob"), items: tooMany })), "InvalidArgument");
  assert.equal(await code(client().evaluateBatch({ items: [item], revision: "9-000000000000" })), "NotFound");
  const cyclic = [{ uid: user("x"), parents: [user("x")] }];
  assert.equal(await code(client().evaluateBatch({ items: [item], entities: cyclic })), "InvalidArgument");
});

test("a batch of faults is answered whole: the first in full, later ones cut to what a program needs", async () => {
  const items = Array.from({ length: 10_000 }, (_, n) => ({
    principal: { type: "Not a type", id: "x".repeat(50) },
    action: action("edit"),
    ...(n === 9_999 ? { principal: user("alice"), resource: document("handbook") } : {}),
  }));
  const { results } = await client().evaluateBatch({ items });
  assert.equal(results.length, items.length);
  const faults = results.flatMap(({ result }) => (result.case === "error" ? [result.value] : []));
  assert.equal(faults.length, 9_999);
  assert.ok(faults.every(({ code }) => code === 3));
  assert.equal(faults[0]?.details.length, 2);
  assert.deepEqual([faults[9_998]?.message, faults[9_998]?.details.length], ["INVALID_REQUEST", 0]);
  const last = results.at(-1)?.result;
  assert.equal(last?.case === "decision" && last.value.decision, Decision.ALLOW);
});
