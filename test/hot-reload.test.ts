import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Decision } from "../gen/gatehouse/policy/v1/decision_pb.ts";
import { PolicyService } from "../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { startDeployment } from "./support/deployment.ts";
import { until } from "./support/until.ts";

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

test("reloading under load: no request fails, and each answer is that of the revision it names", async () => {
  const dir = mkdtempSync(join(tmpdir(), "gatehouse-policies-"));
  cpSync("policies/documents", dir, { recursive: true });
  const file = join(dir, "policies.cedar");
  const strict = readFileSync(file, "utf8");
  const generous = `${strict}\n@id("viewers-edit")\npermit (principal in Role::"viewer", action == Action::"edit", resource is Document);\n`;
  const deployment = await startDeployment({ POLICY_DIR: dir });
  const baseUrl = `http://127.0.0.1:${deployment.ports.policy}`;
  const client = createClient(PolicyService, createGrpcTransport({ baseUrl }));
  const stopped = new AbortController();
  const seen = new Map<string, Set<Decision>>();
  const load = Array.from({ length: 20 }, async () => {
    while (!stopped.signal.aborted) {
      const { revision, decision } = await client.evaluate({
        principal: { type: "User", id: "bob" },
        action: { type: "Action", id: "edit" },
        resource: { type: "Document", id: "handbook" },
      });
      seen.set(revision, (seen.get(revision) ?? new Set()).add(decision));
    }
  });
  try {
    await until("the first answers are there", async () => seen.size === 1);
    for (let n = 1; n <= 6; n += 1) {
      const revisions = seen.size;
      writeFileSync(file, n % 2 === 1 ? generous : strict);
      await until("the change is in force", async () => seen.size > revisions);
    }
    stopped.abort();
    await Promise.all(load);
    assert.equal(seen.size, 7);
    for (const [revision, decisions] of seen) {
      const wanted = Number.parseInt(revision, 10) % 2 === 1 ? Decision.DENY : Decision.ALLOW;
      assert.deepEqual([...decisions], [wanted], revision);
    }
  } finally {
    stopped.abort();
    await Promise.allSettled(load);
    await deployment.close();
    rmSync(dir, { recursive: true });
  }
});
