/** Generates docs/configuration.md from the definitions of the services. With `--check`, fails when it is stale. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { authFields } from "../src/auth/config.ts";
import { policyFields } from "../src/policy/config.ts";
import type { ConfigField } from "../src/shared/config/config.ts";

const path = join(import.meta.dirname, "..", "docs", "configuration.md");

function section(title: string, fields: object): string {
  const rows = Object.values<ConfigField<unknown>>(fields as Record<string, ConfigField<unknown>>).map(
    ({ env, doc, fallback, sensitive }) => {
      const initial = fallback === undefined ? "required" : fallback === "" ? "unset" : `\`${fallback}\``;
      return `| \`${env}\` | ${initial} | ${doc}${sensitive === true ? " Secret." : ""} |`;
    },
  );
  return `## ${title}\n\n| variable | default | meaning |\n|---|---|---|\n${rows.join("\n")}\n`;
}

const page = `# Configuration

Everything is read from the environment at start, and everything that is wrong is reported at once. Durations are written
\`250ms\`, \`30s\`, \`15m\`, \`12h\` or \`7d\`. This page is generated from the definitions (\`npm run docs\`).

${section("auth-service", authFields)}
${section("policy-service", policyFields)}`;

if (process.argv.includes("--check")) {
  if (readFileSync(path, "utf8") !== page) {
    process.stderr.write("docs/configuration.md is stale; run `npm run docs`.\n");
    process.exitCode = 1;
  }
} else {
  writeFileSync(path, page);
}
