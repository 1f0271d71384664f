import { createCipheriv, createDecipheriv, hash } from "node:crypto";
import type { RandomBytes } from "./clock.ts";

/** What was sealed cannot be opened: it was changed, moved to another place, or its key is gone. Never tells its content. */
export class SecretBoxError extends Error {
  override readonly name = "SecretBoxError";
}

/**
 * Encrypts what the store keeps, by AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce: good for 2^32 secrets a key.
 *
 * `place` names what a secret is and whose, for example `totp:alice`. It is authenticated, not kept: a secret that was
 * moved to another place does not open there.
 */
export interface SecretBox {
  /** Answers `v1.<key id>.<nonce, ciphertext and tag>` in base64url. */
  seal(secret: Uint8Array, place: string): string;
  /** @throws SecretBoxError */
  open(sealed: string, place: string): Buffer;
}

const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
const algorithm = "aes-256-gcm";

/**
 * Reads keys as they are configured: 32 bytes each in base64 or base64url, separated by commas. The first one seals, all of
 * them open, so that a new key can be put before an old one.
 *
 * @throws SecretBoxError that does not repeat them.
 */
export function parseEncryptionKeys(text: string): readonly Uint8Array[] {
  return text.split(",").map((part) => {
    const key = Buffer.from(part.trim(), "base64");
    // Buffer skips what is not base64: a key of the wrong alphabet comes out short.
    if (key.length !== keyBytes || !/^[A-Za-z0-9+/_-]{43}=?$/.test(part.trim())) {
      throw new SecretBoxError(`An encryption key must be ${keyBytes} bytes in base64.`);
    }
    return key;
  });
}

export function createSecretBox(keys: readonly Uint8Array[], random: RandomBytes): SecretBox {
  const [first] = keys;
  if (first === undefined) throw new SecretBoxError("There is no encryption key.");
  const keysById = new Map(keys.map((key) => [keyIdOf(key), key]));

  return {
    seal(secret, place) {
      const nonce = random(nonceBytes);
      const cipher = createCipheriv(algorithm, first, nonce, { authTagLength: tagBytes });
      cipher.setAAD(Buffer.from(place));
      const body = Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
      return `v1.${keyIdOf(first)}.${body.toString("base64url")}`;
    },
    open(sealed, place) {
      const [version, keyId = "", text = "", ...rest] = sealed.split(".");
      const body = Buffer.from(text, "base64url");
      if (version !== "v1" || rest.length > 0 || body.length < nonceBytes + tagBytes) {
        throw new SecretBoxError("A sealed secret is malformed.");
      }
      const key = keysById.get(keyId);
      if (key === undefined) throw new SecretBoxError(`The encryption key ${keyId} is not configured.`);
      const decipher = createDecipheriv(algorithm, key, body.subarray(0, nonceBytes), { authTagLength: tagBytes });
      decipher.setAAD(Buffer.from(place));
      decipher.setAuthTag(body.subarray(-tagBytes));
      try {
        return Buffer.concat([decipher.update(body.subarray(nonceBytes, -tagBytes)), decipher.final()]);
      } catch (cause) {
        throw new SecretBoxError("A sealed secret was changed or belongs elsewhere.", { cause });
      }
    },
  };
}

/** Names a key without telling it: the first 32 bits of its SHA-256. */
function keyIdOf(key: Uint8Array): string {
  return hash("sha256", key, "hex").slice(0, 8);
}
