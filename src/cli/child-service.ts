import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const root = join(import.meta.dirname, "..", "..");

/** A service that runs as a child process. */
export interface ChildService {
  /** Fulfilled when `/readyz` answers 200. */
  readonly ready: Promise<void>;
  /** Fulfilled with the exit code, 1 when a signal ended it. */
  readonly exited: Promise<number>;
  /** Asks it to drain, and waits until it has ended. */
  stop(): Promise<void>;
}

/** Starts an entry of this project and passes its output on with its name before each line. */
export function startChildService(
  name: string,
  entry: string,
  env: Readonly<Record<string, string | undefined>>,
  httpPort: number,
): ChildService {
  // A process group of its own, so that Ctrl-C reaches it once, through `stop`, and not from the terminal as well.
  const child = spawn(process.execPath, [join(root, entry)], {
    cwd: root,
    env: { ...env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const prefix = `${name.padEnd(6)} │ `;
  createInterface({ input: child.stdout }).on("line", (line) => process.stdout.write(`${prefix}${line}\n`));
  createInterface({ input: child.stderr }).on("line", (line) => process.stderr.write(`${prefix}${line}\n`));
  let running = true;
  const exited = new Promise<number>((resolve) => {
    child.once("close", (code) => {
      running = false;
      resolve(code ?? 1);
    });
  });
  const kill = (): void => {
    if (running) child.kill("SIGKILL");
  };
  process.once("exit", kill);
  void exited.then(() => process.off("exit", kill));

  const ready = (async (): Promise<void> => {
    while (running) {
      try {
        const answer = await fetch(`http://127.0.0.1:${httpPort}/readyz`, { signal: AbortSignal.timeout(1_000) });
        // Somebody else's server on our port answers before our child has failed: trust it only while the child lives.
        if (answer.ok && running) return;
      } catch {
        // Not listening yet.
      }
      await sleep(50);
    }
    await new Promise(() => undefined);
  })();

  return {
    ready,
    exited,
    async stop(): Promise<void> {
      if (running) child.kill("SIGTERM");
      await exited;
    },
  };
}
