import { setTimeout as sleep } from "node:timers/promises";
import { type ChildService, startChildService } from "../../src/cli/child-service.ts";

/** Heap flags of the shipped image; docs/operations.md has their reasons. */
export const heapFlags: readonly string[] = ["--max-semi-space-size=16", "--max-old-space-size=128"];

/** Settings of the C library's allocator, as the shipped image has them. */
export const allocatorSettings: Readonly<Record<string, string>> = {
  MALLOC_MMAP_THRESHOLD_: "131072",
  MALLOC_ARENA_MAX: "2",
};

/** Starts an entry on one core with the shipped heap flags and waits until it serves, at most 20 s. */
export async function startPinned(
  entry: string,
  core: number,
  env: Readonly<Record<string, string>>,
  isReady: () => Promise<boolean>,
): Promise<ChildService> {
  const { PATH, HOME } = process.env;
  const child = startChildService({
    entry,
    core,
    env: { PATH, HOME, ...allocatorSettings, ...env },
    nodeFlags: heapFlags,
    isReady,
    onLine: (line, stream) => {
      if (stream === "stderr") process.stderr.write(`${line}\n`);
    },
  });
  const late = sleep(20_000, undefined, { ref: false }).then(() => {
    throw new Error(`${entry} was not ready within 20 s`);
  });
  await Promise.race([child.ready, late]);
  return child;
}
