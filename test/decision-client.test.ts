import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Decision, DecisionReason } from "../gen/gatehouse/policy/v1/decision_pb.ts";
import type { DecisionClient, DecisionRequest } from "../src/shared/client/decisions/decision.ts";
import { createDecisionClient } from "../src/shared/client/decisions/decision-client.ts";
import { ServiceError } from "../src/shared/service-error.ts";
import { type Deployment, startDeployment } from "./support/deployment.ts";

let deployment: Deployment;
let policies: string;
let stream: DecisionClient;
let unary: DecisionClient;

before(async () => {
  policies = mkdtempSync(join(tmpdir(), "gatehouse-policies-"));
  cpSync("policies/documents", policies, { recursive: true });
  deployment = await startDeployment({ POLICY_DIR: policies, DRAIN_GRACE: "2s" });
  const options = {
    target: "policy-service",
    address: `127.0.0.1:${deployment.ports.policy}`,
    unavailableReason: "POLICY_UNAVAILABLE",
    deadlineMs: 2_000,
    recoveryMs: 100,
    maxQueued: 50_000,
  };
  stream = createDecisionClient(options);
  unary = createDecisionClient({ ...options, mode: "unary" });
});
after(async () => {
  stream.close();
  unary.close();
  await deployment.close();
  rmSync(policies, { recursive: true });
});

const ask = (who: string, what: string, which: string): DecisionRequest => ({
  principal: { type: "User", id: who },
  action: { type: "Action", id: what },
  resource: { type: "Document", id: which },
});

/** Requests of every kind, whether they are allowed, and the policies that decide them. */
const known: readonly [DecisionRequest, boolean, readonly string[]][] = [
  [ask("alice", "edit", "handbook"), true, ["editors-edit"]],
  [ask("alice", "edit", "constitution"), false, ["locked-documents"]],
  [ask("bob", "view", "handbook"), true, ["viewers-view"]],
  [ask("bob", "edit", "handbook"), false, []],
  [{ ...ask("bob", "view", "handbook"), context: {} }, true, ["viewers-view"]],
  [
    {
      ...ask("carol", "edit", "draft"),
      entities: [
        { uid: { type: "User", id: "carol" }, parents: [{ type: "Role", id: "editor" }] },
        { uid: { type: "Document", id: "draft" }, attrs: { locked: false } },
      ],
    },
    true,
    ["editors-edit"],
  ],
];

async function assertKnown(client: DecisionClient, n: number): Promise<void> {
  const [request, allow, determining] = known[n % known.length] as (typeof known)[number];
  const answer = await client.evaluate(request);
  assert.equal(answer.decision, allow ? Decision.ALLOW : Decision.DENY);
  assert.deepEqual(answer.determiningPolicies, determining);
}

async function untilHealed(client: DecisionClient): Promise<void> {
  const end = Date.now() + 20_000;
  for (;;) {
    try {
      await client.evaluate(ask("alice", "view", "handbook"));
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
      await sleep(20);
    }
  }
}

test("a stream and single calls give the same answers", async () => {
  for (const [request] of known) {
    const answers = await Promise.all([stream.evaluate(request), unary.evaluate(request)]);
    const ids = new Set(answers.map(({ decisionId }) => decisionId));
    assert.ok(ids.size === 2 && !ids.has(""), "each decision has a name of its own");
    const [streamed, called] = answers.map(({ decisionId: _, ...answer }) => answer);
    assert.deepEqual(streamed, called);
    assert.notEqual(streamed?.reason, DecisionReason.UNSPECIFIED);
  }
  await Promise.all(Array.from({ length: 5_000 }, (_, n) => assertKnown(stream, n)));
});

test("the server's refusal of one question is its own", async () => {
  const wrong = { ...ask("alice", "view", "handbook"), resource: { type: "NoSuchType", id: "x" } };
  const outcomes = await Promise.allSettled([
    stream.evaluate(wrong),
    ...Array.from({ length: 50 }, (_, n) => assertKnown(stream, n)),
    unary.evaluate(wrong),
  ]);
  const refused = outcomes.filter((outcome) => outcome.status === "rejected").map(({ reason }) => reason);
  assert.equal(refused.length, 2);
  for (const error of refused) {
    assert.ok(error instanceof ServiceError);
    assert.equal(error.code, "INVALID_ARGUMENT");
    assert.equal(error.reason, "INVALID_REQUEST");
  }
});

test("new policies take effect on the open stream, and answers name their revision", async () => {
  const { revision } = await stream.evaluate(ask("bob", "edit", "handbook"));
  const file = join(policies, "policies.cedar");
  const text = readFileSync(file, "utf8");
  const added = '@id("anyone-edits") permit (principal, action == Action::"edit", resource is Document);\n';
  writeFileSync(file, `${text}\n${added}`);
  for (const end = Date.now() + 10_000; ; await sleep(20)) {
    assert.ok(Date.now() < end, "the new policies never took effect");
    const answer = await stream.evaluate(ask("bob", "edit", "handbook"));
    const isNew = answer.revision !== revision;
    assert.equal(answer.decision, isNew ? Decision.ALLOW : Decision.DENY);
    assert.deepEqual(answer.determiningPolicies, isNew ? ["anyone-edits"] : []);
    if (isNew) break;
  }
  writeFileSync(file, text);
  while ((await stream.evaluate(ask("bob", "edit", "handbook"))).decision !== Decision.DENY) await sleep(20);
});

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  test(`${signal} to policy-service under load: each question gets exactly one answer, right or UNAVAILABLE`, async () => {
    await untilHealed(stream);
    const tally = { right: 0, unavailable: 0 };
    let asked = 0;
    let isOver = false;
    const askers = Array.from({ length: 100 }, async () => {
      while (!isOver) {
        const n = asked++;
        try {
          await assertKnown(stream, n);
          tally.right += 1;
        } catch (error) {
          if (!(error instanceof ServiceError)) throw error;
          assert.equal(error.code, "UNAVAILABLE", error.message);
          assert.ok((error.retryAfterMs ?? 0) > 0);
          tally.unavailable += 1;
          await sleep(5);
        }
      }
    });
    const all = Promise.all(askers);
    await sleep(200);
    const before = tally.right;
    assert.ok(before > 0);
    await deployment.policy.stop(signal);
    await deployment.restart("policy");
    await Promise.race([untilHealed(stream), all]);
    await sleep(200);
    isOver = true;
    await all;
    assert.equal(tally.right + tally.unavailable, asked);
    assert.ok(tally.right > before, "it did not heal");
  });
}
