import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseEncryptionKeys } from "./domain/secret-box.ts";

/**
 * The encryption key of the demo: made at the first start and kept beside the data, its owner's alone. Production keeps the
 * two apart.
 */
export function demoEncryptionKey(dataDir: string): readonly Uint8Array[] {
  const path = join(dataDir, "encryption.key");
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  try {
    writeFileSync(path, randomBytes(32).toString("base64"), { flag: "wx", mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  return parseEncryptionKeys(readFileSync(path, "utf8"));
}
