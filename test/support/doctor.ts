import { createServer } from "node:http";
import { runCommandLine } from "../../src/cli/command.ts";
import { doctor } from "../../src/cli/commands/doctor.ts";
import type { Finding, Level } from "../../src/cli/doctor/finding.ts";
import { freePort } from "./ports.ts";

/** What a run of `gatehouse doctor --json` came to. */
export interface Diagnosis {
  readonly code: number;
  readonly findings: readonly Finding[];
  /** Findings of a level as `check: message`. */
  of(level: Level): string[];
}

/** Runs the doctor in this process with these variables of the environment, and no others that it reads. */
export async function runDoctor(
  words: readonly string[],
  env: { readonly GATEHOUSE_TOKEN?: string; readonly REDIS_URL?: string } = {},
): Promise<Diagnosis> {
  const lines: string[] = [];
  for (const name of ["GATEHOUSE_TOKEN", "REDIS_URL"] as const) {
    const value = env[name];
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  const say = (line: string): void => void lines.push(line);
  const code = await runCommandLine([doctor], ["doctor", "--json", ...words], { out: say, err: say });
  const { findings } = JSON.parse(lines.join("\n")) as { findings: Finding[] };
  return {
    code,
    findings,
    of: (level) => findings.filter((each) => each.level === level).map(({ check, message }) => `${check}: ${message}`),
  };
}

/** An HTTP proxy on loopback that moves the Date header of what it passes on by some milliseconds. */
export async function startSkewingProxy(
  httpPort: number,
  skewMs: number,
): Promise<{ readonly port: number; close(): void }> {
  const port = await freePort();
  const server = createServer(async (request, response) => {
    const answer = await fetch(`http://127.0.0.1:${httpPort}${request.url}`);
    const date = new Date(Date.parse(answer.headers.get("date") ?? "") + skewMs).toUTCString();
    response.writeHead(answer.status, { date, "content-type": answer.headers.get("content-type") ?? "" });
    response.end(await answer.text());
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return { port, close: () => void server.close() };
}
