import { spawn } from "node:child_process";

/** How a command ended and what it said. */
export interface CommandResult {
  /** The exit code; 1 when a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Text for the command's standard input; none by default. */
  readonly input?: string;
  /** Milliseconds until the command is killed; 60,000 by default. */
  readonly timeoutMs?: number;
  /** Whether the command's own output is shown on standard error as it comes. */
  readonly show?: boolean;
}

/** Runs a program without a shell and collects what it prints. Rejects only when it cannot be started. */
export function runCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    // Not spawn's own timeout: that one stays armed when the program cannot be started.
    const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 60_000);
    const printed = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream].setEncoding("utf8").on("data", (text: string) => {
        printed[stream] += text;
        if (options.show === true) process.stderr.write(text);
      });
    }
    child.once("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? 1, ...printed });
    });
    // A program that does not read its input may have closed it already.
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.input ?? "");
  });
}
