import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { describe, it } from "node:test";

interface Child {
  readonly process: ChildProcess;
  output(): string;
  /** Resolves once the output holds `text`. */
  says(text: string): Promise<void>;
  exit: Promise<unknown[]>;
}

function start(how: string): Child {
  const child = spawn(process.execPath, [join(import.meta.dirname, "testing", "child.ts"), how]);
  let output = "";
  child.stdout.on("data", (chunk) => (output += chunk));
  child.stderr.on("data", (chunk) => (output += chunk));
  return {
    process: child,
    output: () => output,
    async says(text) {
      while (!output.includes(text)) await once(child.stdout, "data");
    },
    exit: once(child, "exit"),
  };
}

describe("a service process", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it(`stops at ${signal} and ends with exit code 0`, async () => {
      const child = start("well");
      await child.says("started");
      child.process.kill(signal);
      assert.deepEqual(await child.exit, [0, null]);
      assert.match(child.output(), /aborted\n.*drained\n.*"msg":"stopped"/s);
    });
  }

  it("ends with exit code 1 when it cannot start", async () => {
    const child = start("fail");
    assert.deepEqual(await child.exit, [1, null]);
    assert.match(child.output(), /"level":"fatal".*no start/);
  });

  it("is ended when stopping takes too long", async () => {
    const child = start("hang");
    await child.says("started");
    child.process.kill("SIGTERM");
    assert.deepEqual(await child.exit, [1, null]);
    assert.match(child.output(), /stopping took too long/);
  });

  it("is ended by a second signal", async () => {
    const child = start("hang");
    await child.says("started");
    child.process.kill("SIGTERM");
    await child.says("aborted");
    child.process.kill("SIGINT");
    assert.deepEqual(await child.exit, [1, null]);
    assert.match(child.output(), /second signal/);
  });
});
