import { createCipheriv, createDecipheriv, createHash } from "node:crypto";
import type { RandomBytes } from "../clock.ts";

/** A sealed text cannot be opened with the keys that are configured. */
export class SealError extends Error {
  override readonly name = "SealError";
}

/** Encrypts what the store must not tell, by keys that are not in the store. */
export interface Sealer {
  /** Encrypts a text; it can be opened with the same label only. */
  seal(text: string, label: string): string;
  /** @throws SealError when the text was changed, moved to another label, or sealed by a key that is not configured. */
  open(sealed: string, label: string): string;
}

const algorithm = "aes-256-gcm";
const nonceBytes = 12;
const tagBytes = 16;
/** Bytes of a sealing key. */
export const sealingKeyBytes = 32;

/**
 * Seals by AES-256-GCM with the first key and opens with any of them, so that a key can be replaced: the new one goes
 * first, and the old one goes once nothing is sealed by it.
 *
 * A sealed text is `<name of the key>.<nonce, ciphertext and tag in base64url>`. Nonces are random: one key is good for 2^32 texts.
 */
export function createSealer(keys: readonly Uint8Array[], random: RandomBytes): Sealer {
  const byName = new Map(keys.map((key) => [nameOf(key), key]));
  const [current] = byName;

  return {
    seal(text, label) {
      if (current === undefined) throw new SealError("No sealing key is configured.");
      const [name, key] = current;
      const nonce = random(nonceBytes);
      const cipher = createCipheriv(algorithm, key, nonce).setAAD(Buffer.from(label));
      const parts = [nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()];
      return `${name}.${Buffer.concat(parts).toString("base64url")}`;
    },
    open(sealed, label) {
      const [name = "", body = ""] = sealed.split(".", 2);
      const key = byName.get(name);
      if (key === undefined) throw new SealError(`It was sealed by the key ${name}, which is not configured.`);
      const bytes = Buffer.from(body, "base64url");
      if (bytes.length < nonceBytes + tagBytes) throw new SealError("It is too short to be sealed.");
      const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
        .setAAD(Buffer.from(label))
        .setAuthTag(bytes.subarray(-tagBytes));
      try {
        return decipher.update(bytes.subarray(nonceBytes, -tagBytes), undefined, "utf8") + decipher.final("utf8");
      } catch (cause) {
        throw new SealError("It was changed after it was sealed.", { cause });
      }
    },
  };
}

/** Names a key without telling anything of it. */
function nameOf(key: Uint8Array): string {
  return createHash("sha256").update("gatehouse sealing key").update(key).digest("hex").slice(0, 8);
}
