import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Decision, DecisionReason } from "../gen/gatehouse/policy/v1/decision_pb.ts";
import type { ServiceError } from "../src/shared/service-error.ts";
import { connect, openStream } from "./support/evaluate-stream.ts";
import { asAdmin, type PolicyReplica, startPolicyReplica } from "./support/policy-replica.ts";
import { until } from "./support/until.ts";

let dataDir: string;
let policies: string;
let replica: PolicyReplica;

before(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "gatehouse-data-"));
  policies = mkdtempSync(join(tmpdir(), "gatehouse-policies-"));
  cpSync("policies/documents", policies, { recursive: true });
  replica = await startPolicyReplica({ DATA_DIR: dataDir, POLICY_DIR: policies });
});
after(async () => {
  await replica.close();
  rmSync(dataDir, { recursive: true, force: true });
  rmSync(policies, { recursive: true, force: true });
});

const ask = (who: string, what: string) => ({
  principal: { type: "User", id: who },
  action: { type: "Action", id: what },
  resource: { type: "Document", id: "handbook" },
});

async function outcome(call: Promise<unknown>): Promise<string> {
  return await call.then(
    () => "OK",
    (error: ServiceError) => `${error.code} ${error.reason}`,
  );
}

async function decide(who: string, what = "edit"): Promise<Decision> {
  return (await replica.policy.evaluate(ask(who, what))).decision;
}

test("policies of a directory cannot be activated otherwise, but candidates can be published and pinned", async () => {
  const bundle = { files: [{ name: "a.cedar", text: '@id("all") permit (principal, action, resource);' }] };
  const refused = replica.admin.publishPolicies({ bundle, activate: true }, asAdmin);
  assert.equal(await outcome(refused), "FAILED_PRECONDITION POLICIES_FOLLOW_DIRECTORY");
  assert.equal((await replica.admin.listRevisions({}, asAdmin)).revisions.length, 0);
  const { revision } = await replica.admin.publishPolicies({ bundle }, asAdmin);
  const activated = replica.admin.activateRevision({ revision: revision?.id ?? "" }, asAdmin);
  assert.equal(await outcome(activated), "FAILED_PRECONDITION POLICIES_FOLLOW_DIRECTORY");
  assert.equal(await outcome(replica.admin.rollback({}, asAdmin)), "FAILED_PRECONDITION POLICIES_FOLLOW_DIRECTORY");

  const pinned = { ...ask("bob", "edit"), revision: revision?.id ?? "" };
  assert.equal((await replica.policy.evaluate(pinned)).decision, Decision.ALLOW);
  const batch = await replica.policy.evaluateBatch({ items: [ask("bob", "edit")], revision: pinned.revision });
  const [item] = batch.results;
  assert.equal(item?.result.case === "decision" && item.result.value.decision, Decision.ALLOW);
  const client = connect(replica.port);
  const stream = openStream(client);
  stream.send({ case: "open", value: { revision: pinned.revision } });
  stream.send({ case: "rows", value: { items: [{ id: "1", ...ask("bob", "edit") }] } });
  assert.equal((await stream.next()).case, "opened");
  const rows = await stream.next();
  const [row] = rows.case === "rows" ? rows.value.results : [];
  assert.equal(row?.result.case === "decision" && row.result.value.decision, Decision.ALLOW);
  stream.raw.end();
  client.close();
});

test("entities that were put lie over those of the directory, survive its changes, and give them back when deleted", async () => {
  assert.equal(await decide("bob"), Decision.DENY);
  const bob = { uid: { type: "User", id: "bob" }, parents: [{ type: "Role", id: "editor" }] };
  await replica.admin.putEntities({ entities: [bob] }, asAdmin);
  assert.equal(await decide("bob"), Decision.ALLOW);
  const { revision } = await replica.policy.evaluate(ask("bob", "edit"));
  writeFileSync(join(policies, "more.cedar"), '@id("more") forbid (principal == User::"nobody", action, resource);');
  await until("the directory is reloaded", async () => {
    return (await replica.policy.evaluate(ask("bob", "edit"))).revision !== revision;
  });
  assert.equal(await decide("bob"), Decision.ALLOW);
  await replica.admin.deleteEntities({ uids: [bob.uid] }, asAdmin);
  assert.deepEqual([await decide("bob"), await decide("bob", "view")], [Decision.DENY, Decision.ALLOW]);
});

test("a shadow sees batches and streams, and the entities of the directory", async () => {
  const text = readFileSync(join(policies, "policies.cedar"), "utf8").replace('in Role::"viewer"', 'in Role::"editor"');
  const schema = readFileSync(join(policies, "schema.cedarschema"), "utf8");
  const bundle = { files: [{ name: "policies.cedar", text }], schema };
  const { revision } = await replica.admin.publishPolicies({ bundle }, asAdmin);
  await replica.admin.setShadow({ revision: revision?.id ?? "", sampleRate: 1 }, asAdmin);
  const view = ask("bob", "view");
  await replica.policy.evaluate(view);
  await replica.policy.evaluateBatch({ items: [view, view] });
  const client = connect(replica.port);
  const stream = openStream(client);
  stream.send({ case: "open", value: {} });
  stream.send({
    case: "rows",
    value: {
      items: [
        { id: "1", ...view },
        { id: "2", ...ask("alice", "edit") },
      ],
    },
  });
  stream.send({
    case: "columns",
    value: {
      frameId: 1,
      uids: [view.principal, view.action, view.resource],
      principals: [0, 0],
      actions: [1],
      resources: [2],
    },
  });
  for (const kind of ["opened", "rows", "columns"]) assert.equal((await stream.next()).case, kind);
  stream.raw.end();
  client.close();
  await until("all are compared", async () => (await replica.admin.getShadowReport({}, asAdmin)).evaluated === 7n);
  const { different, differences, skipped } = await replica.admin.getShadowReport({}, asAdmin);
  assert.deepEqual([different, differences.length, skipped], [6n, 1, 0n]);
  assert.deepEqual(differences[0]?.activePolicies, ["viewers-view"]);
  await replica.admin.setShadow({}, asAdmin);
  assert.equal((await replica.admin.getShadowReport({}, asAdmin)).revision, "");
});

test("whether a failing forbid denies or is skipped is each policy set's own", async () => {
  const text = `@id("all") permit (principal, action, resource);
@id("fails") forbid (principal, action, resource) when { principal.missing == 1 };`;
  const decideBy = async (skipFailingForbids: boolean) => {
    const bundle = { files: [{ name: "a.cedar", text }], skipFailingForbids };
    const { revision } = await replica.admin.publishPolicies({ bundle }, asAdmin);
    const answer = await replica.policy.evaluate({ ...ask("alice", "edit"), revision: revision?.id ?? "" });
    return [answer.decision, answer.reason, ...answer.errors.map(({ policyId }) => policyId)];
  };
  const indeterminate = /^policy_decisions_total\{outcome="indeterminate"[^}]*\} (\d+)$/m;
  const before = await replica.metric(indeterminate);
  assert.deepEqual(await decideBy(false), [Decision.DENY, DecisionReason.INDETERMINATE, "fails"]);
  assert.deepEqual(await decideBy(true), [Decision.ALLOW, DecisionReason.PERMITTED, "fails"]);
  assert.equal((await replica.metric(indeterminate)) - before, 1);
});

test("administrative actions are decided by the built-in policies alone, by the roles that come with the principal", async () => {
  writeFileSync(join(policies, "more.cedar"), '@id("more") permit (principal, action, resource);');
  const decideAdmin = async (roles: string[], what: string) => {
    const principal = { type: "Gatehouse::User", id: "ann" };
    return await replica.policy.evaluate({
      principal,
      action: { type: "Gatehouse::Action", id: what },
      resource: { type: "Gatehouse::Service", id: "auth" },
      entities: [{ uid: principal, attrs: { roles } }],
    });
  };
  const expected: [string[], string, Decision][] = [
    [["gatehouse-admin"], "CreateUser", Decision.ALLOW],
    [["gatehouse-viewer"], "CreateUser", Decision.DENY],
    [["gatehouse-viewer"], "ListUsers", Decision.ALLOW],
    [["editor"], "ListUsers", Decision.DENY],
    [[], "GetUser", Decision.DENY],
    [["gatehouse-admin"], "NoSuchRpc", Decision.DENY],
  ];
  for (const [roles, what, decision] of expected) {
    const answer = await decideAdmin(roles, what);
    assert.equal(answer.decision, decision, `${roles} ${what}`);
    assert.equal(answer.revision, "built-in");
  }
  const client = connect(replica.port);
  const stream = openStream(client);
  stream.send({ case: "open", value: {} });
  const uids = [
    { type: "Gatehouse::User", id: "ann" },
    { type: "Gatehouse::Action", id: "CreateUser" },
    { type: "Gatehouse::Service", id: "auth" },
  ];
  const item = (id: string, roles: string[]) => ({
    id,
    principal: uids[0]!,
    action: uids[1]!,
    resource: uids[2]!,
    entities: [{ uid: uids[0]!, attrs: { roles } }],
  });
  stream.send({ case: "rows", value: { items: [item("1", ["gatehouse-admin"]), item("2", [])] } });
  stream.send({ case: "columns", value: { frameId: 1, uids, principals: [0], actions: [1], resources: [2] } });
  await stream.next();
  const rows = await stream.next();
  const decisions = (rows.case === "rows" ? rows.value.results : []).map(
    ({ result }) => result.case === "decision" && result.value.decision,
  );
  assert.deepEqual(decisions, [Decision.ALLOW, Decision.DENY]);
  const columns = await stream.next();
  assert.equal(columns.case === "columns" && columns.value.faults[0]?.error?.code, 3);
  stream.raw.end();
  client.close();
});

test("a step-up hint names each configured attribute that would turn a denial", async () => {
  const dir = mkdtempSync(join(tmpdir(), "gatehouse-step-up-"));
  const text = '@id("strong") permit (principal, action, resource) when { context.session.assurance >= 2 };';
  writeFileSync(join(dir, "a.cedar"), text);
  const env = { DATA_DIR: join(dir, "data"), POLICY_DIR: dir, POLICY_STEP_UPS: "mfa=true, session.assurance=2" };
  const other = await startPolicyReplica(env);
  try {
    const { decision, diagnostics, reason } = await other.policy.evaluate({ ...ask("ann", "x"), explain: true });
    assert.deepEqual([decision, reason], [Decision.DENY, DecisionReason.NO_MATCH]);
    assert.deepEqual(
      diagnostics?.stepUpHints.map(({ attribute, value }) => [attribute, value?.kind.value]),
      [["session.assurance", 2]],
    );
  } finally {
    await other.close();
    rmSync(dir, { recursive: true, force: true });
  }
});
