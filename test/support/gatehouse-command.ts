import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";

/** What a command came to. */
export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the `gatehouse` command as a user would, with an environment of its own. */
export async function runGatehouse(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input = "",
): Promise<Ended> {
  const child = spawn(process.execPath, ["src/cli/main.ts", ...words], { env: { PATH: process.env.PATH, ...env } });
  child.stdin.end(input);
  const [out, err, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number>((resolve) => child.once("close", (ended) => resolve(ended ?? -1))),
  ]);
  return { code, out: out.trimEnd(), err: err.trimEnd() };
}
