import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Decision } from "../gen/gatehouse/policy/v1/decision_pb.ts";
import { PolicyService } from "../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { startDeployment } from "./support/deployment.ts";

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    if (await holds()) return;
    await sleep(50);
  }
  assert.fail(`${what} within 10 s`);
}

test("policies are reloaded when their file changes; a bad edit keeps the last good set and says why", async () => {
  const dir = mkdtempSync(join(tmpdir(), "gatehouse-policies-"));
  cpSync("policies/documents", dir, { recursive: true });
  const file = join(dir, "policies.cedar");
  const good = readFileSync(file, "utf8");
  const deployment = await startDeployment({ POLICY_DIR: dir });
  const { ports } = deployment;
  const client = createClient(PolicyService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${ports.policy}` }));
  const mayBobEdit = () =>
    client.evaluate({
      principal: { type: "User", id: "bob" },
      action: { type: "Action", id: "edit" },
      resource: { type: "Document", id: "handbook" },
    });
  const readiness = async () =>
    (await (await fetch(`http://127.0.0.1:${ports.policyHttp}/readyz`)).json()) as {
      ready: boolean;
      checks: { policies: { detail: string } };
    };
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${ports.policyHttp}/metrics`)).text();
    return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "m").exec(text)?.[1]);
  };
  try {
    assert.equal((await mayBobEdit()).decision, Decision.DENY);

    const generous =
      '\n@id("viewers-edit")\npermit (principal in Role::"viewer", action == Action::"edit", resource is Document);\n';
    writeFileSync(file, good + generous);
    await until("the new policy allows", async () => (await mayBobEdit()).decision === Decision.ALLOW);
    const { revision, determiningPolicies } = await mayBobEdit();
    assert.deepEqual(determiningPolicies, ["viewers-edit"]);

    writeFileSync(file, `${good}${generous}permit (principal, action, resource) when { nonsense };\n`);
    await until("the bad edit is told", async () => (await metric("policy_load_failed")) === 1);
    const { ready, checks } = await readiness();
    assert.equal(ready, true, "the last good set serves on");
    assert.match(checks.policies.detail, /stays active.*policies\.cedar/s);
    assert.ok(deployment.output.some((line) => line.includes("nonsense") || line.includes("policies.cedar")));
    assert.equal((await mayBobEdit()).revision, revision);

    writeFileSync(file, good);
    await until("the mended set denies", async () => (await mayBobEdit()).decision === Decision.DENY);
    assert.equal(await metric("policy_load_failed"), 0);
  } finally {
    await deployment.close();
    rmSync(dir, { recursive: true });
  }
});
