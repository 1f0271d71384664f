import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AuthConfig } from "./config.ts";
import { parseEncryptionKeys } from "./domain/secret-box.ts";

/** Where the keys that encrypt what the store keeps come from. */
export type EncryptionKeySettings = Pick<AuthConfig, "encryptionKeys" | "profile" | "dataDir">;

/** The keys that are configured; in the demo profile, otherwise its own. Empty when there are none. */
export function encryptionKeysOf({ encryptionKeys, profile, dataDir }: EncryptionKeySettings): readonly Uint8Array[] {
  return encryptionKeys.length === 0 && profile === "demo" ? demoEncryptionKey(dataDir) : encryptionKeys;
}

/**
 * The encryption key of the demo: made at the first start and kept beside the data, its owner's alone. Production keeps the
 * two apart.
 */
function demoEncryptionKey(dataDir: string): readonly Uint8Array[] {
  const path = join(dataDir, "encryption.key");
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  try {
    writeFileSync(path, randomBytes(32).toString("base64"), { flag: "wx", mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  return parseEncryptionKeys(readFileSync(path, "utf8"));
}
