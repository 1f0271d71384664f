import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AuthService } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { type Deployment, startDeployment } from "./support/deployment.ts";
import { type Ended, runGatehouse } from "./support/gatehouse-command.ts";
import { freePort } from "./support/ports.ts";

let deployment: Deployment;
let token: string;

/** The command with an admin's token, on the deployment. */
function gatehouse(command: string, input = ""): Promise<Ended> {
  const address = `127.0.0.1:${deployment.ports.auth}`;
  return runGatehouse([...command.split(" "), "--address", address], { GATEHOUSE_TOKEN: token }, input);
}

async function succeeds(command: string, input = ""): Promise<string> {
  const { code, out, err } = await gatehouse(command, input);
  assert.equal(code, 0, err);
  return out;
}

function auth() {
  return createClient(AuthService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${deployment.ports.auth}` }));
}

async function signIn(username: string, password: string): Promise<string> {
  return (await auth().authenticate({ credential: { case: "password", value: { username, password } } })).sessionToken;
}

before(async () => {
  deployment = await startDeployment({ POLICY_TIMEOUT: "2s" });
  token = await signIn("admin", "gatehouse");
});
after(async () => {
  await deployment.close();
});

test("a user is created, shown, changed and deleted from the command line", async () => {
  const created = await succeeds(
    `user create Carol --role editor --role viewer --attributes {"team":"docs"} --password-stdin`,
    "correct horse\n",
  );
  assert.match(created, /^name +carol\nroles +editor, viewer\nattributes +\{"team":"docs"\}\npassword +yes\n/);
  assert.ok(await signIn("carol", "correct horse"));
  const { user } = JSON.parse(await succeeds("user get carol --json"));
  assert.deepEqual(
    [user.name, user.roles, user.disabled, user.hasPassword],
    ["carol", ["editor", "viewer"], false, true],
  );

  const stale = await gatehouse("user update carol --role admin --expected-version 7");
  assert.equal(stale.code, 1);
  assert.match(stale.err, /another version .*\(ABORTED, USER_CHANGED\)/);
  const updated = JSON.parse(
    await succeeds(`user update carol --no-roles --disable --expected-version ${user.version} --json`),
  );
  assert.deepEqual([updated.user.roles, updated.user.disabled], [[], true]);
  assert.deepEqual(updated.user.attributes, { team: "docs" }, "what is not named stays");
  await assert.rejects(signIn("carol", "correct horse"));
  await succeeds("user update carol --enable");
  await succeeds("user set-password carol", "battery staple");
  assert.ok(await signIn("carol", "battery staple"));
  assert.match(await succeeds("user set-password carol --remove"), /password +no/);
  await assert.rejects(signIn("carol", "battery staple"));

  assert.match(
    await succeeds("user list"),
    /^NAME +ROLES .*\nadmin +gatehouse-admin +yes +enabled .*\nalice .*\nbob .*\ncarol +- /,
  );
  const { users } = JSON.parse(await succeeds("user list --json"));
  assert.deepEqual(
    users.map(({ name }: { name: string }) => name),
    ["admin", "alice", "bob", "carol"],
  );
  assert.equal(await succeeds("user delete carol"), "carol is no more");
  const gone = await gatehouse("user get carol");
  assert.deepEqual([gone.code, gone.out, gone.err], [1, "", "There is no such user. (NOT_FOUND, USER_NOT_FOUND)"]);
});

test("a key is made, used, listed and revoked from the command line", async () => {
  const made = await gatehouse("key create admin --name ci --scope Gatehouse::GetUser --expires 90d");
  assert.equal(made.code, 0, made.err);
  assert.match(made.out, /^gh_[\w-]{64}$/, "the key alone is on standard output");
  assert.ok(!made.err.includes(made.out));
  const address = `127.0.0.1:${deployment.ports.auth}`;
  const shown = await runGatehouse(["user", "get", "alice", "--address", address], { GATEHOUSE_TOKEN: made.out });
  assert.equal(shown.code, 0, shown.err);
  const denied = await runGatehouse(["user", "list", "--address", address], { GATEHOUSE_TOKEN: made.out });
  assert.deepEqual(
    [denied.code, denied.err],
    [1, "The caller may not do this. (PERMISSION_DENIED, PERMISSION_DENIED)"],
  );

  const listed = await succeeds("key list admin");
  assert.match(listed, /^ID +NAME +SCOPES .*\n\S{16} +ci +Gatehouse::GetUser +20/);
  const { apiKeys } = JSON.parse(await succeeds("key list admin --json"));
  assert.equal(made.out.slice(3, 19), apiKeys[0].id);
  const inDays = (Date.parse(apiKeys[0].expireTime) - Date.now()) / 86_400_000;
  assert.ok(inDays > 89.9 && inDays <= 90);
  assert.equal(await succeeds(`key revoke ${apiKeys[0].id}`), `${apiKeys[0].id} is revoked`);
  const { err } = await runGatehouse(["user", "get", "alice", "--address", address], { GATEHOUSE_TOKEN: made.out });
  assert.equal(err, "The credential is not valid. (UNAUTHENTICATED, CREDENTIAL_NOT_VALID)");
  const full = JSON.parse(await succeeds("key create alice --json"));
  assert.deepEqual([full.apiKey.user, full.apiKey.scopes, full.key.length], ["alice", [], 67]);
});

test("the sessions of a user are listed and ended from the command line", async () => {
  await signIn("bob", "builder");
  await signIn("bob", "builder");
  const lines = (await succeeds("session list bob")).split("\n");
  assert.match(lines[0] ?? "", /^ID +SIGNED IN +LAST USED +ENDS +BY$/);
  assert.equal(lines.length, 3);
  assert.match(lines[1] ?? "", / pwd$/);
  const { sessions } = JSON.parse(await succeeds("session list bob --json"));
  assert.equal(sessions.length, 2);
  assert.equal(await succeeds(`session end ${sessions[0].id}`), "the session is over");
  const { sessions: left } = JSON.parse(await succeeds("session list bob --json"));
  assert.deepEqual(
    left.map(({ id }: { id: string }) => id),
    [sessions[1].id],
  );
  assert.equal(await succeeds("session end-all Bob"), "all sessions are over");
  assert.deepEqual(JSON.parse(await succeeds("session list bob --json")), { sessions: [] });
});

test("what is wrong is told in a way that its user can mend, and no secret is shown", async () => {
  const noToken = await runGatehouse(["user", "list"], {});
  assert.equal(noToken.code, 1);
  assert.match(noToken.err, /^GATEHOUSE_TOKEN is not set/);
  const broken = await runGatehouse(["user", "list"], { GATEHOUSE_TOKEN: "hunter2 hunter2" });
  assert.deepEqual([broken.code, broken.err.includes("hunter2")], [1, false]);
  const away = await runGatehouse(["user", "list", "--address", `127.0.0.1:${await freePort()}`], {
    GATEHOUSE_TOKEN: token,
  });
  assert.equal(away.code, 1);
  assert.match(away.err, /127\.0\.0\.1:\d+ .*UNAVAILABLE/);
  const short = await gatehouse("user create dave --password-stdin", "hunter2");
  assert.equal(short.code, 1);
  assert.match(short.err, /^The request is not valid\.\n {2}password: .*\(INVALID_ARGUMENT, INVALID_REQUEST\)$/s);
  assert.ok(!short.err.includes("hunter2"));
  const empty = await gatehouse("user create dave --password-stdin", "");
  assert.match(empty.err, /no password/);
  for (const command of [
    "user create",
    "user create dave --attributes nonsense",
    "user update dave",
    "user update dave --role a --no-roles",
    "user update dave --enable --disable",
    "user update dave --enable --expected-version x",
    "key create dave --expires soon",
  ]) {
    const { code, err } = await gatehouse(command);
    assert.equal(code, 2, command);
    assert.match(err, /^gatehouse (user|key) \w+: /);
  }
  assert.match((await gatehouse("user get dave")).err, /no such user/, "none of these made one");
});
