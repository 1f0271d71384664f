import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./support/ports.ts";

async function demoEnv() {
  return {
    ...process.env,
    DATA_DIR: mkdtempSync(join(tmpdir(), "gatehouse-demo-")),
    AUTH_GRPC_PORT: String(await freePort()),
    AUTH_HTTP_PORT: String(await freePort()),
    POLICY_GRPC_PORT: String(await freePort()),
    POLICY_HTTP_PORT: String(await freePort()),
  };
}

function startDemo(env: NodeJS.ProcessEnv) {
  const child = spawn(process.execPath, ["src/cli/demo.ts"], { env, stdio: ["ignore", "pipe", "pipe"] });
  const state = { output: "" };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      state.output += text;
    });
  }
  return { child, state, ended: once(child, "close").then(([code]) => code as number | null) };
}

/** The JSON body and URL of each curl line that stands by itself. */
function curlLines(banner: string): { body: string; url: string }[] {
  return [...banner.matchAll(/^ {2}curl -s .* -d '(\{.*\})' (http:\S+)$/gm)]
    .map(([, body = "", url = ""]) => ({ body, url }))
    .filter(({ body }) => !body.includes("$TOKEN"));
}

test("the demo prints lines that work, and Ctrl-C stops it cleanly", async () => {
  const env = await demoEnv();
  const { child, state, ended } = startDemo(env);
  try {
    for (let attempt = 0; !state.output.includes("/Authorize\n"); attempt += 1) {
      assert.ok(attempt < 400 && child.exitCode === null, state.output);
      await sleep(50);
    }
    const lines = curlLines(state.output);
    assert.equal(lines.length, 2);
    for (const { body, url } of lines) {
      const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
      assert.equal(answer.status, 200, `${url} ${body}`);
    }
    child.kill("SIGINT");
    assert.equal(await ended, 0, state.output);
  } finally {
    child.kill("SIGKILL");
    rmSync(env.DATA_DIR, { recursive: true, force: true });
  }
});

test("a port in use is named, with the variable to change", async () => {
  const env = await demoEnv();
  const blocker = createServer().listen(Number(env.AUTH_GRPC_PORT), "127.0.0.1");
  await once(blocker, "listening");
  const { state, ended } = startDemo(env);
  try {
    assert.equal(await ended, 1);
    assert.match(state.output, new RegExp(`${env.AUTH_GRPC_PORT} is already in use; set AUTH_GRPC_PORT`));
  } finally {
    blocker.close();
    rmSync(env.DATA_DIR, { recursive: true, force: true });
  }
});

test("all that is wrong with the configuration is reported at once", async () => {
  const env = { ...(await demoEnv()), SESSION_LIMIT: "none", ARGON2_PASSES: "0" };
  const { state, ended } = startDemo(env);
  assert.equal(await ended, 1);
  assert.match(state.output, /SESSION_LIMIT must be a whole number/);
  assert.match(state.output, /ARGON2_PASSES must be a whole number/);
  rmSync(env.DATA_DIR, { recursive: true, force: true });
});
