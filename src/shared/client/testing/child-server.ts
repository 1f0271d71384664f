import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";

export interface ChildServer {
  readonly port: number;
  /** Sends a signal, SIGKILL unless told, and waits until the process is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
}

/** Runs one of the servers beside this file as a process of its own. */
export async function startChildServer(program: string, port = 0, ...args: string[]): Promise<ChildServer> {
  const child: ChildProcess = spawn(process.execPath, [join(import.meta.dirname, program), String(port), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  if (child.stdout === null) throw new Error("The child has no stdout.");
  for await (const line of createInterface({ input: child.stdout })) {
    const [word, bound] = line.split(" ");
    if (word !== "listening") continue;
    return {
      port: Number(bound),
      kill: async (signal = "SIGKILL") => {
        child.kill(signal);
        await exited;
      },
    };
  }
  throw new Error(`${program} ended before it listened.`);
}
