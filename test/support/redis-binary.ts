import { execFileSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/**
 * Finds redis-server on the PATH, and installs it where the system allows that.
 *
 * @throws Error that says how to install it.
 */
export function redisServerBinary(): string {
  const found = findOnPath("redis-server");
  if (found !== undefined) return found;
  const installed = install();
  if (installed !== undefined) return installed;
  throw new Error(
    "The tests need a real Redis, and redis-server is not on the PATH. Install it, for example with " +
      "`sudo apt-get install redis-server` or `brew install redis`, and run them again.",
  );
}

function findOnPath(name: string): string | undefined {
  return (process.env.PATH ?? "")
    .split(delimiter)
    .map((directory) => join(directory, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

function install(): string | undefined {
  if (process.getuid?.() !== 0 || findOnPath("apt-get") === undefined) return undefined;
  const options = {
    stdio: "ignore",
    timeout: 300_000,
    // Run level 1 keeps the package from starting a server of its own.
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" },
  } as const;
  // Test files run side by side: the others wait for the one that installs.
  const lock = ["-o", "DPkg::Lock::Timeout=240"];
  try {
    execFileSync("apt-get", [...lock, "update"], options);
    execFileSync("apt-get", [...lock, "install", "-y", "--no-install-recommends", "redis-server"], options);
  } catch {
    return undefined;
  }
  return findOnPath("redis-server");
}
