import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RandomBytes } from "../domain/clock.ts";
import { sealingKeyBytes } from "../domain/tokens/key-sealing.ts";

/**
 * The sealing key of the demo, made at its first start and kept beside the embedded store (mode 0600). Elsewhere the key comes
 * from the environment: beside what it seals, it would keep nobody out.
 *
 * @throws Error of the file system; Error when the file is not a key.
 */
export function demoSealingKey(dataDir: string, random: RandomBytes): Uint8Array {
  const path = join(dataDir, "sealing.key");
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  try {
    const made = Buffer.from(random(sealingKeyBytes)).toString("base64");
    // Fails when there is one, also when another process was faster.
    writeFileSync(path, `${made}\n`, { mode: 0o600, flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const key = Buffer.from(readFileSync(path, "utf8").trim(), "base64");
  if (key.length !== sealingKeyBytes)
    throw new Error(`${path} is not a sealing key: remove it, and with it what it sealed.`);
  return key;
}
