import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Logger } from "pino";
import type { Mapping } from "../check/mapping.ts";
import { MappingError, parseMapping } from "../check/mapping-file.ts";

export interface MappingFollowerOptions {
  /** The mapping file. */
  readonly path: string;
  readonly logger: Logger;
  /** Told whether what the file holds now is in force. */
  readonly onLook: (inForce: boolean) => void;
  /** How often the file is read, in milliseconds: a ConfigMap's change gives no sign that can be relied on. Default: 2,000. */
  readonly pollMs?: number;
}

/** A mapping file and its changes. */
export interface MappingFollower {
  readonly current: Mapping;
  close(): void;
}

/**
 * Reads a mapping file, and again when it changes. One with faults is reported, and the one before it stays in force.
 *
 * @throws MappingError when the first has faults or cannot be read.
 */
export function followMapping({ path, logger, onLook, pollMs = 2_000 }: MappingFollowerOptions): MappingFollower {
  let text = firstText(path);
  let current = parseMapping(text, path);
  let lastFault: string | undefined;
  onLook(true);

  async function look(): Promise<void> {
    try {
      const now = await readFile(path, "utf8");
      if (now !== text || lastFault !== undefined) {
        const changed = parseMapping(now, path);
        if (now !== text) logger.info({ rules: changed.ruleCount }, "the mapping has changed");
        text = now;
        current = changed;
      }
      lastFault = undefined;
      onLook(true);
    } catch (error) {
      const { message } = error as Error;
      if (message !== lastFault)
        logger.error({ err: error }, "the mapping has faults, the one before it stays in force");
      lastFault = message;
      onLook(false);
    }
  }

  const timer = setInterval(() => void look(), pollMs).unref();
  return {
    get current() {
      return current;
    },
    close: () => clearInterval(timer),
  };
}

function firstText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new MappingError(path, [`cannot be read: ${(error as Error).message}`]);
  }
}
