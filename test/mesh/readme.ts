/** Every shell line of the README that a reader would paste, run as printed, against `npm start`. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { runCommand } from "./command.ts";
import { ensureTool } from "./tools.ts";

const root = join(import.meta.dirname, "..", "..");
const readme = readFileSync(join(root, "README.md"), "utf8");
const lines = [...readme.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, block = ""]) => block.trim().split("\n"));
const calls = lines.filter((line) => /^(grpcurl|curl) /.test(line));

const demo = spawn("npm", ["start"], { cwd: root, stdio: ["ignore", "pipe", "pipe"], detached: true });
let output = "";
for (const stream of [demo.stdout, demo.stderr]) {
  stream.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
}

before(async () => {
  for (let attempt = 0; !output.includes("Gatehouse is running"); attempt += 1) {
    assert.ok(attempt < 600 && demo.exitCode === null, output);
    await sleep(50);
  }
});
after(async () => {
  const ended = once(demo, "close");
  // As Ctrl-C in a terminal does: to npm and to all that it started.
  if (demo.pid !== undefined) process.kill(-demo.pid, "SIGINT");
  await ended;
});

/** What the answer must hold, by what the line asks. */
function expectedAnswer(line: string): RegExp {
  if (line.endsWith(" list")) return /^gatehouse\.auth\.v1\.AuthService$/m;
  if (line.includes("/Authenticate")) return /"sessionToken": ?"[\w-]{40,}"/;
  return line.includes("alice") ? /DECISION_ALLOW[\s\S]*editors-edit/ : /DECISION_DENY/;
}

test("the README has the lines that a newcomer needs", () => {
  assert.deepEqual(
    [calls.filter((line) => line.startsWith("grpcurl")).length, calls.filter((line) => line.startsWith("curl")).length],
    [3, 2],
  );
});

for (const line of calls) {
  test(line, async () => {
    const path = `${dirname(await ensureTool("grpcurl"))}:${process.env.PATH}`;
    const { code, stdout, stderr } = await runCommand("bash", ["-c", line], { env: { ...process.env, PATH: path } });
    assert.equal(code, 0, stderr);
    assert.match(stdout, expectedAnswer(line));
  });
}
