import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Json } from "./envoy-settings.ts";
import { ensureTool } from "./tools.ts";

/** A running Envoy. */
export interface Envoy {
  /** What it has logged so far. */
  log(): string;
  /** Ends it and removes its files. */
  close(): Promise<void>;
}

/**
 * Starts Envoy with a configuration and waits until its admin port says that it is live.
 *
 * @throws Error with its log when it ends before, or is not live within 15 seconds.
 */
export async function startEnvoy(config: Json, adminPort: number): Promise<Envoy> {
  const directory = await mkdtemp(join(tmpdir(), "gatehouse-envoy-"));
  const file = join(directory, "envoy.json");
  await writeFile(file, JSON.stringify(config));
  const args = ["-c", file, "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"];
  const child = spawn(await ensureTool("envoy"), args, { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      log += text;
    });
  }
  let running = true;
  const exited = new Promise<void>((resolve) => {
    child.once("close", () => {
      running = false;
      resolve();
    });
  });
  const close = async (): Promise<void> => {
    if (running) child.kill("SIGKILL");
    await exited;
    await rm(directory, { recursive: true, force: true });
  };
  const until = Date.now() + 15_000;
  while (running && Date.now() < until) {
    try {
      const answer = await fetch(`http://127.0.0.1:${adminPort}/ready`, { signal: AbortSignal.timeout(1_000) });
      if (answer.ok) return { log: () => log, close };
    } catch {
      // Not listening yet.
    }
    await sleep(50);
  }
  await close();
  throw new Error(`Envoy is not live:\n${log}`);
}
