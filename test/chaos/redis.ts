import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { freePort } from "../support/ports.ts";
import { redisServerBinary } from "../support/redis-binary.ts";

/** A Redis with an append-only file, whose memory, disk and life can be taken away. */
export interface ChaosRedis {
  readonly port: number;
  start(): Promise<void>;
  kill(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** Sends it commands by a connection of its own. */
  command(...words: readonly string[]): Promise<unknown>;
  /** Lets its files not grow any more, as on a full disk; or grow again. */
  setDiskFull(full: boolean): void;
  /** Kills it and deletes its data. */
  close(): Promise<void>;
}

export async function startChaosRedis(): Promise<ChaosRedis> {
  const dir = mkdtempSync(join(tmpdir(), "gatehouse-chaos-redis-"));
  const port = await freePort();
  let child: ChildProcess | undefined;
  const killOnExit = (): void => void child?.kill("SIGKILL");
  process.once("exit", killOnExit);

  async function command(...words: readonly string[]): Promise<unknown> {
    const redis = new Redis({ port, lazyConnect: true, retryStrategy: () => null, commandTimeout: 2_000 });
    redis.on("error", () => undefined);
    try {
      await redis.connect();
      const [name = "", ...rest] = words;
      return await redis.call(name, ...rest);
    } finally {
      redis.disconnect();
    }
  }

  async function start(): Promise<void> {
    const settings: Readonly<Record<string, string>> = {
      port: String(port),
      bind: "127.0.0.1",
      dir,
      save: "",
      appendonly: "yes",
      // For CONFIG SET dir.
      "enable-protected-configs": "local",
    };
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
    // At the limit of a file's size, a write shall fail as on a full disk; by default the signal would end the process.
    const script = 'trap "" XFSZ; exec "$0" "$@"';
    child = spawn("sh", ["-c", script, redisServerBinary(), ...args], { stdio: "ignore" });
    for (const end = Date.now() + 20_000; Date.now() < end; await sleep(20)) {
      if ((await command("PING").catch(() => undefined)) === "PONG") return;
    }
    throw new Error(`redis-server did not answer on port ${port}.`);
  }

  async function kill(): Promise<void> {
    if (child === undefined) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
    child = undefined;
  }

  await start();
  return {
    port,
    start,
    kill,
    command,
    signal: (signal) => void child?.kill(signal),
    setDiskFull(full) {
      const files = readdirSync(join(dir, "appendonlydir")).map((name) => join(dir, "appendonlydir", name));
      const largest = Math.max(...files.map((file) => statSync(file).size));
      const limit = full ? `${largest}:unlimited` : "unlimited:unlimited";
      execFileSync("prlimit", ["--pid", String(child?.pid), `--fsize=${limit}`]);
    },
    async close() {
      await kill();
      process.off("exit", killOnExit);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
