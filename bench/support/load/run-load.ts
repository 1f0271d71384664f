import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Target } from "../services.ts";
import type { LoadJob, LoadResult } from "./job.ts";

const run = promisify(execFile);
const generator = join(import.meta.dirname, "generator.ts");

/** Runs the load generator in a process of its own on one core. */
export async function runLoad(core: number, load: Omit<LoadJob, "message"> & Target): Promise<LoadResult> {
  const job: LoadJob = { ...load, message: Buffer.from(load.message).toString("base64") };
  const { stdout } = await run("taskset", ["-c", String(core), process.execPath, generator, JSON.stringify(job)]);
  return JSON.parse(stdout) as LoadResult;
}
