import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { LoadJob, LoadResult } from "./job.ts";

const run = promisify(execFile);
const generator = join(import.meta.dirname, "generator.ts");

/** Runs the load generator in a process of its own on one core. */
export async function runLoad(core: number, job: LoadJob): Promise<LoadResult> {
  const { stdout } = await run("taskset", ["-c", String(core), process.execPath, generator, JSON.stringify(job)]);
  return JSON.parse(stdout) as LoadResult;
}
