import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Decision } from "../gen/gatehouse/policy/v1/decision_pb.ts";
import type { ServiceError, StatusCode } from "../src/shared/service-error.ts";
import { bundleMakers, manyWildcards, requestMakers, seeded } from "./support/hostile-inputs.ts";
import { asAdmin, type PolicyReplica, startPolicyReplica } from "./support/policy-replica.ts";

/** Inputs in all; the continuous integration asks for more. */
const inputs = Number(process.env.HOSTILE_INPUTS ?? 4_000);
const seed = Number(process.env.HOSTILE_SEED ?? 20_261_125);
/** One input in so many is a policy set: checking one costs far more than a request. */
const bundleEvery = 20;
const atOnce = 16;
/** How much more memory the second half of the inputs may leave behind than the first, in bytes. */
const allowedGrowth = 48 * 2 ** 20;

let dataDir: string;
let replica: PolicyReplica;
let active = "";

before(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "gatehouse-hostile-"));
  const flags = { NODE_OPTIONS: "--max-semi-space-size=16 --max-old-space-size=192" };
  replica = await startPolicyReplica(
    { DATA_DIR: dataDir, POLICY_SOURCE: "store", LOG_LEVEL: "error", ...flags },
    { waitForPolicies: false },
  );
  const editors = '@id("editors") permit (principal == User::"ed", action == Action::"view", resource);';
  const { revision } = await replica.admin.publishPolicies(
    { bundle: { files: [{ name: "a.cedar", text: `${editors}\n${manyWildcards}` }] }, activate: true },
    asAdmin,
  );
  active = revision?.id ?? "";
});
after(async () => {
  await replica.close();
  rmSync(dataDir, { recursive: true, force: true });
});

const refusals: ReadonlySet<StatusCode> = new Set(["INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED"]);
const memory = () => replica.metric(/^process_resident_memory_bytes(?:\{[^}]*\})? (\S+)$/m);

async function sendRequest(kind: string, random: () => number): Promise<void> {
  const request = requestMakers[kind]!(random);
  try {
    const { decision, revision } = await replica.policy.evaluate(request);
    assert.deepEqual([decision, revision], [Decision.DENY, active], kind);
  } catch (error) {
    const { code } = error as ServiceError;
    if (!refusals.has(code)) throw new Error(`${kind}: ${(error as Error).message}`, { cause: error });
  }
}

async function sendBundle(kind: string, random: () => number, publish: boolean): Promise<void> {
  const bundle = bundleMakers[kind]!(random);
  if (!publish) {
    const { valid, findings } = await replica.admin.validatePolicies({ bundle }, asAdmin);
    assert.equal(valid, false, kind);
    assert.ok(findings.length > 0 && findings.every(({ message }) => message !== ""), kind);
    return;
  }
  const refused = replica.admin.publishPolicies({ bundle, activate: true }, asAdmin);
  await assert.rejects(refused, { code: "INVALID_ARGUMENT", reason: "POLICIES_NOT_VALID" }, kind);
}

/** What a well-behaved caller asks meanwhile: always answered, and always right. */
async function sendGood(): Promise<void> {
  const { decision, revision } = await replica.policy.evaluate({
    principal: { type: "User", id: "ed" },
    action: { type: "Action", id: "view" },
    resource: { type: "Document", id: "d" },
  });
  assert.deepEqual([decision, revision], [Decision.ALLOW, active]);
}

test(`${inputs} hostile inputs leave the service up, its memory flat, and its policies in force`, async (context) => {
  const random = seeded(seed);
  const requests = Object.keys(requestMakers);
  const bundles = Object.keys(bundleMakers);
  let next = 0;

  async function work(until: number): Promise<void> {
    while (next < until) {
      const n = next;
      next += 1;
      if (n % bundleEvery === 0) {
        const k = n / bundleEvery;
        await sendBundle(bundles[k % bundles.length]!, random, k % 3 === 0);
        await sendGood();
      } else {
        await sendRequest(requests[n % requests.length]!, random);
      }
    }
  }
  const through = (until: number): Promise<unknown> => Promise.all(Array.from({ length: atOnce }, () => work(until)));

  await through(inputs / 2);
  const half = await memory();
  await through(inputs);
  const end = await memory();
  const mib = (bytes: number): number => Math.round(bytes / 2 ** 20);
  context.diagnostic(`seed ${seed}: ${mib(half)} MiB after half of the inputs, ${mib(end)} MiB after all`);
  assert.ok(end - half < allowedGrowth, `grew from ${mib(half)} to ${mib(end)} MiB`);
  await sendGood();
  const { revisions } = await replica.admin.listRevisions({}, asAdmin);
  assert.deepEqual(
    revisions.map(({ id }) => id),
    [active],
  );
});

test("the HTTP edge takes the same without harm, lone surrogates and deep JSON included", async () => {
  const url = `http://127.0.0.1:${replica.httpPort}/gatehouse.policy.v1.PolicyService/Evaluate`;
  const uid = (type: string, id: string) => `{"type":"${type}","id":"${id}"}`;
  const body = (id: string, context = "{}") =>
    `{"principal":${uid("User", id)},"action":${uid("Action", "view")},"resource":${uid("Document", "d")},"context":${context}}`;
  const bodies = [
    body("\\ud800"),
    body("\\udc00\\ud800"),
    body("x", '{"\\ud800": 1}'),
    body("x", '{"a": "\\ud800"}'),
    body("x", `{"a": ${"[".repeat(50_000)}${"]".repeat(50_000)}}`),
    body("x", `${'{"a":'.repeat(10_000)}1${"}".repeat(10_000)}`),
    body("x".repeat(1_000_000)),
    "[".repeat(500_000),
    '{"principal": null',
    body("x", '{"a": 1e999}'),
  ];
  for (const [index, text] of bodies.entries()) {
    const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: text });
    const json = (await answer.json()) as { decision?: string; code?: string };
    assert.ok(
      answer.status === 400 || answer.status === 429 || json.decision === "DECISION_DENY",
      `${index}: ${answer.status} ${JSON.stringify(json).slice(0, 200)}`,
    );
  }
  await sendGood();
});
