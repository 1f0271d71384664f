/**
 * Generates `gen/` from `proto/`. With `--check`, generates beside it instead and fails when the committed code differs.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

function generate(out: string): void {
  execFileSync("buf", ["generate", "--output", out], { cwd: root, stdio: "inherit" });
}

function snapshot(dir: string): Map<string, string> {
  const files = readdirSync(dir, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
  return new Map(files.sort().map((name) => [name, readFileSync(join(dir, name), "utf8")]));
}

if (process.argv.includes("--check")) {
  const out = mkdtempSync(join(tmpdir(), "gatehouse-gen-"));
  try {
    generate(out);
    const fresh = snapshot(join(out, "gen"));
    const committed = snapshot(join(root, "gen"));
    const stale = [...new Set([...fresh.keys(), ...committed.keys()])].filter(
      (name) => fresh.get(name) !== committed.get(name),
    );
    if (stale.length > 0) {
      process.stderr.write(`gen/ is stale; run \`npm run gen\`:\n${stale.map((name) => `  gen/${name}\n`).join("")}`);
      process.exitCode = 1;
    }
  } finally {
    rmSync(out, { recursive: true });
  }
} else {
  generate(".");
}
