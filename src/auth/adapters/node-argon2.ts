import { argon2 } from "node:crypto";
import { promisify } from "node:util";
import type { Argon2 } from "../domain/passwords.ts";

const compute = promisify(argon2);

/** Argon2id of node:crypto, on libuv's thread pool: at most UV_THREADPOOL_SIZE (4) run at once, whatever the queue allows. */
export const nodeArgon2: Argon2 = (password, salt, { memoryKib, passes, parallelism }, tagLength) =>
  compute("argon2id", { message: password, nonce: salt, parallelism, tagLength, memory: memoryKib, passes });
