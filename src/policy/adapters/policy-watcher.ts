import { type FSWatcher, watch } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { CedarControl } from "../control/cedar-control.ts";
import { PolicySourceError } from "../control/diagnostics.ts";
import { type PolicyDirectory, parsePolicyFiles } from "./policy-directory.ts";
import { DEFAULT_FILE_LIMITS, type FileLimits, readPolicyFiles } from "./policy-files.ts";

/** What a watcher tells, and how it looks. */
export type PolicyWatcherOptions = {
  readonly directory: string;
  readonly control: CedarControl;
  /** Hears of every content that loads, the first one included, and of the last good one again when it is back. */
  readonly onChange: (loaded: PolicyDirectory) => void;
  /** Hears of every content that does not (PolicySourceError, PolicyDirectoryError, CedarWasmError); the last good one stays. */
  readonly onError: (error: Error) => void;
  /**
   * How long content must stay the same before it is loaded, ms: an edit of several files, or a file half written, is
   * not taken for a policy set. Default 100.
   */
  readonly settleMs?: number;
  /** How often to look without a sign: not every file system gives one, ms. Default 5,000. */
  readonly pollMs?: number;
  /** Only looks, and listens for no signs. Default false. */
  readonly pollOnly?: boolean;
  readonly limits?: FileLimits;
};

/** A directory under watch. */
export type PolicyWatcher = {
  /** The last content that loaded. */
  readonly current: PolicyDirectory | undefined;
  /** Looks now, and answers once what is there has been told of. */
  check(): Promise<void>;
  close(): void;
};

/**
 * Watches a policy directory. Content is told by its hash, so that what only looks like a change is not loaded again,
 * and a ConfigMap whose `..data` link is swapped is.
 */
export function watchPolicyDirectory(options: PolicyWatcherOptions): PolicyWatcher {
  const { directory, control, onChange, onError } = options;
  const { settleMs = 100, pollMs = 5_000, pollOnly = false, limits = DEFAULT_FILE_LIMITS } = options;
  let current: PolicyDirectory | undefined;
  /** The content whose findings have been told, or that is in force. */
  let settled: string | undefined;
  let lastFault: string | undefined;
  let looking: Promise<void> | undefined;
  let closed = false;
  let signs: FSWatcher[] = [];
  let signalled = false;
  let answering = false;

  async function look(): Promise<void> {
    let hash: string | undefined;
    try {
      let files = await readPolicyFiles(directory, limits);
      while (files.contentHash !== settled && files.contentHash !== hash) {
        hash = files.contentHash;
        await setTimeout(settleMs, undefined, { ref: false });
        files = await readPolicyFiles(directory, limits);
      }
      hash = files.contentHash;
      if (closed || hash === settled) return;
      const loaded = hash === current?.contentHash ? current : await parsePolicyFiles(files, control);
      if (closed) return;
      current = loaded;
      lastFault = undefined;
      onChange(loaded);
      settled = hash;
    } catch (error) {
      if (!closed) report(error as Error, hash);
    }
  }

  /** A fault of the content stands until the content changes; any other may pass, so it is looked at again. */
  function report(error: Error, hash: string | undefined): void {
    settled = error instanceof PolicySourceError ? hash : undefined;
    if (error.message === lastFault) return;
    lastFault = error.message;
    onError(error);
  }

  async function check(): Promise<void> {
    // One look at a time: a second one waits for the first, which may have begun before the change.
    while (looking) await looking;
    looking = look().finally(() => {
      looking = undefined;
    });
    await looking;
  }

  /** Looks for as long as there are signs; each time it listens first, so that what changes meanwhile gives another. */
  async function onSign(): Promise<void> {
    signalled = true;
    if (answering) return;
    answering = true;
    while (signalled && !closed) {
      signalled = false;
      listen();
      await check();
    }
    answering = false;
  }

  /** Listens anew: a directory that was replaced is another one to the file system. */
  function listen(): void {
    for (const sign of signs) sign.close();
    signs = [];
    if (closed || pollOnly) return;
    for (const path of [directory, join(directory, "entities")]) {
      try {
        const sign = watch(path, { persistent: false }, () => void onSign());
        sign.on("error", () => sign.close()); // polling goes on
        signs.push(sign);
      } catch {
        // There is no such directory yet, or no way to watch it: polling finds what changes.
      }
    }
  }

  const poll = setInterval(() => {
    if (!looking) void check();
  }, pollMs);
  poll.unref();
  void onSign();

  return {
    get current() {
      return current;
    },
    check,
    close() {
      closed = true;
      clearInterval(poll);
      listen();
    },
  };
}
