import { type ChildService, startChildService } from "../../src/cli/child-service.ts";

/** Heap flags of the shipped image; docs/operations.md has their reasons. */
export const heapFlags: readonly string[] = ["--max-semi-space-size=16", "--max-old-space-size=128"];

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
    env: { PATH, HOME, ...env },
    nodeFlags: heapFlags,
    isReady,
    onLine: (line, stream) => {
      if (stream === "stderr") process.stderr.write(`${line}\n`);
    },
  });
  const failure = new Promise<never>((_resolve, reject) => {
    setTimeout(() => reject(new Error(`${entry} was not ready within 20 s`)), 20_000).unref();
    child.exited.then((code) => reject(new Error(`${entry} ended with code ${code}`)), reject);
  });
  // Once the child serves, its end is no failure.
  failure.catch(() => undefined);
  await Promise.race([child.ready, failure]);
  return child;
}
