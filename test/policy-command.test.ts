import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AuthService } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { IdentityService } from "../gen/gatehouse/auth/v1/identity_service_pb.ts";
import { PolicyService } from "../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { partitionOf } from "../src/auth/domain/session-keys.ts";
import { type Deployment, startDeployment } from "./support/deployment.ts";
import { type Ended, runGatehouse } from "./support/gatehouse-command.ts";
import { until } from "./support/until.ts";

let deployment: Deployment;
let directory: string;
const tokens = new Map<string, string>();
let first = "";
let second = "";

before(async () => {
  deployment = await startDeployment({ POLICY_SOURCE: "store" });
  directory = mkdtempSync(join(tmpdir(), "gatehouse-policies-"));
  for (const name of ["policies.cedar", "schema.cedarschema"]) {
    writeFileSync(join(directory, name), readFileSync(join("policies/documents", name), "utf8"));
  }
  const auth = createClient(AuthService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${deployment.ports.auth}` }));
  for (const [username, password] of [
    ["admin", "gatehouse"],
    ["alice", "wonderland"],
  ] as const) {
    const answer = await auth.authenticate({ credential: { case: "password", value: { username, password } } });
    tokens.set(username, answer.sessionToken);
  }
});
after(async () => {
  await deployment.close();
  rmSync(directory, { recursive: true });
});

function gatehouse(command: string, who = "admin"): Promise<Ended> {
  const address = `127.0.0.1:${deployment.ports.policy}`;
  return runGatehouse([...command.split(" "), "--address", address], { GATEHOUSE_TOKEN: tokens.get(who) ?? "" });
}

async function succeeds(command: string): Promise<string> {
  const { code, out, err } = await gatehouse(command);
  assert.equal(code, 0, err);
  return out;
}

async function viewerMayEdit(): Promise<boolean> {
  const policy = createClient(
    PolicyService,
    createGrpcTransport({ baseUrl: `http://127.0.0.1:${deployment.ports.policy}` }),
  );
  const { decision } = await policy.evaluate({
    principal: { type: "User", id: "bob" },
    action: { type: "Action", id: "edit" },
    resource: { type: "Document", id: "handbook" },
  });
  return decision === 1;
}

test("a store without policies begins with those of the directory, their entities included", async () => {
  const out = await succeeds("policy revisions");
  first = /^(1-[0-9a-f]{12}) +\d+ +active +\S+ +from policies\/documents$/m.exec(out)?.[1] ?? "";
  assert.notEqual(first, "", out);
  assert.equal(await viewerMayEdit(), false);
});

test("only an admin's credential is good enough", async () => {
  const nobody = await runGatehouse(["policy", "revisions"]);
  assert.deepEqual([nobody.code, /GATEHOUSE_TOKEN is not set/.test(nobody.err)], [1, true]);
  const alice = await gatehouse("policy revisions", "alice");
  assert.equal(alice.code, 1);
  assert.match(alice.err, /permission for ListRevisions.*PERMISSION_DENIED, ADMIN_PERMISSION_MISSING/);
});

test("a session token that begins like an API key is taken for a token", async () => {
  // The bytes 82 1f and two bits more are `gh_` in base64url, and tokens begin with the partition of their user.
  let n = 0;
  while (partitionOf(`user-${n}`) !== "821f") n += 1;
  const username = `user-${n}`;
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${deployment.ports.auth}` });
  const headers = { authorization: `Bearer ${tokens.get("admin")}` };
  const user = { name: username, password: "correct horse", roles: ["gatehouse-viewer"] };
  await createClient(IdentityService, transport).createUser(user, { headers });
  const auth = createClient(AuthService, transport);
  const signIn = async (): Promise<string> => {
    const credential = { case: "password", value: { username, password: "correct horse" } } as const;
    return (await auth.authenticate({ credential })).sessionToken;
  };
  let token = await signIn();
  for (let attempt = 0; attempt < 60 && !token.startsWith("gh_"); attempt += 1) token = await signIn();
  assert.match(token, /^gh_/);
  tokens.set(username, token);
  const { code, err } = await gatehouse("policy revisions", username);
  assert.equal(code, 0, err);
});

test("a directory with faults is not published, and they are told with their places", async () => {
  writeFileSync(join(directory, "wrong.cedar"), '@id("wrong") permit (principal, action == Action::"edti", resource);');
  const { code, err } = await gatehouse(`policy publish ${directory} --activate`);
  assert.equal(code, 1);
  assert.match(err, /bundle\.files\[wrong\.cedar\]: wrong \(line 1, column \d+\): .*edti/);
  assert.equal((await succeeds("policy revisions")).split("\n").length, 2);
  rmSync(join(directory, "wrong.cedar"));
});

test("publish, compare, shadow, activate, roll back", async () => {
  writeFileSync(
    join(directory, "more.cedar"),
    '@id("viewers-edit") permit (principal in Role::"viewer", action == Action::"edit", resource is Document);',
  );
  const published = JSON.parse(await succeeds(`policy publish ${directory} -m viewers --json`));
  second = published.revision.id;
  assert.match(second, /^2-[0-9a-f]{12}$/);
  assert.equal(await viewerMayEdit(), false);
  assert.match(await succeeds(`policy diff ${first} ${second}`), /^\+ viewers-edit\n1 added, 0 removed, 0 changed$/);
  assert.match(await succeeds(`policy diff ${second} ${directory}`), /^0 added, 0 removed, 0 changed$/);

  await succeeds(`policy shadow set ${second}`);
  await viewerMayEdit();
  let report = "";
  await until("the shadow has been compared", async () => {
    report = await succeeds("policy shadow report");
    return /[1-9]\d* requests compared, [1-9]/.test(report);
  });
  assert.match(
    report,
    /1 × DENY by default -> ALLOW by viewers-edit\n {4}User::"bob" Action::"edit" Document::"handbook"/,
  );
  assert.equal((await gatehouse("policy shadow report --exit-code")).code, 1);
  const refused = await gatehouse(`policy activate ${second} --max-shadow-difference 0.1`);
  assert.match(refused.err, /differed in \d+ of \d+ requests.*SHADOW_DIFFERS/);
  assert.equal(await succeeds("policy shadow stop"), "There is no shadow.");

  assert.equal(
    await succeeds(`policy activate ${second} --expect ${first}`),
    `${second} is active, ${first} was before.`,
  );
  assert.equal(await viewerMayEdit(), true);
  assert.equal(await succeeds("policy rollback"), `${first} is active, ${second} was before.`);
  assert.equal(await viewerMayEdit(), false);
});

test("while auth-service is away, nobody administers", async () => {
  await deployment.auth.stop("SIGKILL");
  const { code, err } = await gatehouse("policy rollback");
  assert.equal(code, 1);
  assert.match(err, /UNAVAILABLE, AUTH_UNAVAILABLE/);
  assert.equal(await viewerMayEdit(), false);
});
