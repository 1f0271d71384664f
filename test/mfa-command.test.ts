import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { generateSync } from "otplib";
import { type AuthReplicas, startAuthReplicas } from "./support/auth-replicas.ts";

let replicas: AuthReplicas;
let dir: string;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), "gatehouse-mfa-"));
  replicas = await startAuthReplicas(1, {}, Date.now);
});
after(async () => {
  await replicas.close();
  rmSync(dir, { recursive: true });
});

/** Runs the tool, and types `answer` of what it has printed once it asks for a code. */
async function gatehouse(args: string[], token: string, answer: (out: string) => string = () => "") {
  const { grpcPort } = replicas.all[0]!;
  const child = spawn(process.execPath, ["src/cli/main.ts", ...args, "--address", `127.0.0.1:${grpcPort}`], {
    env: { PATH: process.env.PATH, GATEHOUSE_TOKEN: token },
  });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
    if (err.includes("shows now:")) child.stdin.end(`${answer(out)}\n`);
  });
  const [code] = (await once(child, "close")) as [number];
  return { code, out, err };
}

const codeIn = (out: string, steps: number): string => {
  const secret = /into the app: ([A-Z2-7]{32})$/m.exec(out)?.[1] ?? "";
  return generateSync({ secret, epoch: Math.floor(Date.now() / 1_000) + 30 * steps });
};

async function sessionOf(username: string, password: string, totpCode?: string): Promise<string> {
  const { sessionToken } = await replicas.all[0]!.auth.authenticate({
    credential: { case: "password", value: { username, password } },
    ...(totpCode === undefined ? {} : { secondFactor: { factor: { case: "totpCode", value: totpCode } } }),
  });
  return sessionToken;
}

test("a user enrols an authenticator from the terminal, gets new backup codes, and removes it", async () => {
  const token = await sessionOf("alice", "wonderland");
  assert.equal((await gatehouse(["mfa", "status"], token)).out, "no authenticator\n");
  const { code, out, err } = await gatehouse(["mfa", "enrol"], token, (shown) => codeIn(shown, 0));
  assert.equal(code, 0, err);
  assert.match(out, /[▀▄█]{5}/, "a QR code of half blocks");
  const codes = out.match(/^ {2}\S{4}-\S{4}-\S{4}-\S{4}$/gm) ?? [];
  assert.equal(codes.length, 10);

  const session = await sessionOf("alice", "wonderland", codeIn(out, 1));
  const fresh = await gatehouse(["mfa", "codes"], session);
  assert.equal(fresh.out.trim().split("\n").length, 10, fresh.err);
  const status = JSON.parse((await gatehouse(["mfa", "status", "--json"], session)).out);
  assert.equal(status.backupCodesLeft, 10);
  assert.ok(Date.now() - Date.parse(status.totpCreateTime) < 60_000);
  assert.equal((await gatehouse(["mfa", "remove"], session)).code, 0);
  assert.ok(await sessionOf("alice", "wonderland"));
});

for (const [form, magic] of [
  ["png", /^\x89PNG\r\n/],
  ["svg", /^<svg /],
] as const) {
  test(`the QR code is written as ${form}, for its owner alone, and not over another file`, async () => {
    const token = await sessionOf("bob", "builder");
    const path = join(dir, `code.${form}`);
    const args = ["mfa", "enrol", "--qr", form, "--out", path];
    const refused = await gatehouse(args, token, () => "000000");
    assert.equal(refused.code, 1);
    assert.match(refused.err, /code: is not valid now \(INVALID_ARGUMENT, INVALID_REQUEST\)/);
    assert.match(readFileSync(path, "latin1"), magic);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const again = await gatehouse(args, token);
    assert.equal(again.code, 1);
    assert.match(again.err, /cannot be written: EEXIST/);
  });
}

test("says what is missing", async () => {
  assert.match((await gatehouse(["mfa", "status"], "")).err, /GATEHOUSE_TOKEN is not set/);
  assert.match((await gatehouse(["mfa", "status"], "nonsense")).err, /CREDENTIAL_NOT_VALID/);
  const wrong = await gatehouse(["mfa", "enrol", "--qr", "gif"], "x");
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /--qr must be one of terminal, png, svg/);
});
