/** Cost of argon2id (RFC 9106 section 3.1). */
export interface Argon2Parameters {
  /** Memory in KiB. */
  readonly memoryKib: number;
  /** Passes over it. */
  readonly passes: number;
  /** Lanes. */
  readonly parallelism: number;
}

/** A password hash with all that is needed to check a password against it. */
export interface PasswordHash {
  readonly parameters: Argon2Parameters;
  readonly salt: Uint8Array;
  readonly tag: Uint8Array;
}

const shape =
  /^\$argon2id\$v=19\$m=([1-9]\d{0,7}),t=([1-9]\d{0,2}),p=([1-9]\d?)\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/;

/** Writes a hash in the PHC string format, as the reference implementation of argon2 does. */
export function formatPhc({ parameters, salt, tag }: PasswordHash): string {
  const { memoryKib, passes, parallelism } = parameters;
  return `$argon2id$v=19$m=${memoryKib},t=${passes},p=${parallelism}$${base64(salt)}$${base64(tag)}`;
}

/** Reads a PHC string of argon2id; undefined when it is none, or one that asks for an absurd amount of work. */
export function parsePhc(text: string): PasswordHash | undefined {
  const match = shape.exec(text);
  if (match === null) return undefined;
  const parameters = { memoryKib: Number(match[1]), passes: Number(match[2]), parallelism: Number(match[3]) };
  const { memoryKib, passes, parallelism } = parameters;
  if (memoryKib < 8 * parallelism || memoryKib * passes > 2 ** 24) return undefined;
  return { parameters, salt: Buffer.from(match[4]!, "base64"), tag: Buffer.from(match[5]!, "base64") };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64").replaceAll("=", "");
}
