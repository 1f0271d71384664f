import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const root = join(import.meta.dirname, "..", "..");

/** What to start, and how. */
export interface ChildServiceOptions {
  /** Module to run, relative to the project, for example `src/auth/main.ts`. */
  readonly entry: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Tells whether it serves; asked every 50 ms. */
  isReady(): Promise<boolean>;
  /** Gets each line of its output. Default: dropped. */
  onLine?(line: string, stream: "stdout" | "stderr"): void;
  readonly nodeFlags?: readonly string[];
  /** Core to pin it to, by `taskset`. */
  readonly core?: number;
}

/** A service that runs as a child process. */
export interface ChildService {
  readonly pid: number;
  /** Fulfilled once it serves; never when it ends before that. */
  readonly ready: Promise<void>;
  /** Fulfilled with its exit code, or `undefined` when a signal ended it. */
  readonly exited: Promise<number | undefined>;
  /** Sends a signal, by default SIGTERM, which asks it to drain, and waits for its end. */
  stop(signal?: NodeJS.Signals): Promise<number | undefined>;
  signal(signal: NodeJS.Signals): void;
}

/** Starts a module of this project. It is killed when this process exits. */
export function startChildService(options: ChildServiceOptions): ChildService {
  const pin = options.core === undefined ? [] : ["taskset", "-c", String(options.core)];
  const [command = process.execPath, ...args] = [
    ...pin,
    process.execPath,
    ...(options.nodeFlags ?? []),
    join(root, options.entry),
  ];
  // A process group of its own, so that Ctrl-C reaches it once, through `stop`, and not from the terminal as well.
  const child = spawn(command, args, {
    cwd: root,
    env: { ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  createInterface({ input: child.stdout }).on("line", (line) => options.onLine?.(line, "stdout"));
  createInterface({ input: child.stderr }).on("line", (line) => options.onLine?.(line, "stderr"));
  let running = true;
  const exited = new Promise<number | undefined>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? undefined));
  }).finally(() => {
    running = false;
    process.off("exit", kill);
  });
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);

  return {
    pid: child.pid ?? 0,
    exited,
    ready: waitUntil(
      async () => await options.isReady(),
      () => running,
    ),
    async stop(signal = "SIGTERM"): Promise<number | undefined> {
      if (running) child.kill(signal);
      return await exited;
    },
    signal: (signal) => void child.kill(signal),
  };
}

async function waitUntil(isReady: () => Promise<boolean>, isRunning: () => boolean): Promise<void> {
  while (isRunning()) {
    // Somebody else's server on our port may answer before our child has failed: trust it only while the child lives.
    if ((await isReady().catch(() => false)) && isRunning()) return;
    await sleep(50);
  }
  await new Promise(() => undefined);
}

/** Whether an HTTP edge on loopback says that its service is ready. */
export async function isEdgeReady(httpPort: number): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${httpPort}/readyz`, { signal: AbortSignal.timeout(1_000) });
  return answer.ok;
}
