/** `npm run test:mesh`: everything that is proved with the mesh's own programs. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { ensureTool, ToolError, toolNames } from "./tools.ts";

const suites = [
  "manifests.ts",
  "envoy-fails-closed.ts",
  "envoy-check.ts",
  "envoy-mutual-tls.ts",
  "envoy-peer.ts",
  "envoy-resilience.ts",
  "envoy-certificates.ts",
  "readme.ts",
];

try {
  for (const name of toolNames) await ensureTool(name);
  const files = suites.map((suite) => join(import.meta.dirname, suite));
  const child = spawn(process.execPath, ["--test", "--test-concurrency=1", ...files], { stdio: "inherit" });
  child.once("close", (code) => {
    process.exitCode = code ?? 1;
  });
} catch (error) {
  if (!(error instanceof ToolError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
