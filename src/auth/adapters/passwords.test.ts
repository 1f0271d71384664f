import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { type Argon2, createPasswords, type Passwords } from "../domain/passwords.ts";
import type { Argon2Parameters } from "../domain/phc.ts";
import { createWorkQueue } from "../domain/work-queue.ts";
import { nodeArgon2 } from "./node-argon2.ts";

const cheap: Argon2Parameters = { memoryKib: 64, passes: 1, parallelism: 1 };

/** Real argon2 that remembers with what it was called. */
function counted(parameters: Argon2Parameters = cheap): { passwords: Passwords; work: Argon2Parameters[] } {
  const work: Argon2Parameters[] = [];
  const argon2: Argon2 = (password, salt, cost, tagBytes) => {
    work.push(cost);
    return nodeArgon2(password, salt, cost, tagBytes);
  };
  const queue = createWorkQueue({ concurrency: 2, maxQueued: 100, expectedMs: 1 });
  return { passwords: createPasswords({ argon2, parameters, queue, random: randomBytes }), work };
}

describe("passwords", () => {
  it("match their hash and no other", async () => {
    const { passwords } = counted();
    const phc = await passwords.hash("wonderland");
    assert.match(phc, /^\$argon2id\$v=19\$m=64,t=1,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    assert.deepEqual(await passwords.check("wonderland", phc), { matches: true, outdated: false });
    assert.deepEqual(await passwords.check("Wonderland", phc), { matches: false, outdated: false });
    assert.notEqual(await passwords.hash("wonderland"), phc);
  });

  it("match a hash of the reference implementation of argon2", async () => {
    const { passwords } = counted();
    const phc = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    assert.deepEqual(await passwords.check("password", phc), { matches: true, outdated: true });
  });

  it("match however their accents were typed", async () => {
    const { passwords } = counted();
    assert.equal((await passwords.check("cafe\u0301", await passwords.hash("café"))).matches, true);
  });

  it("cost the same work with a wrong password, an unknown user and a hash that cannot be read", async () => {
    const { passwords, work } = counted();
    const phc = await passwords.hash("wonderland");
    for (const candidate of [phc, undefined, "", "$2b$10$abcdefghijklmnopqrstuv"]) {
      work.length = 0;
      assert.equal((await passwords.check("guess", candidate)).matches, false);
      assert.deepEqual(work, [cheap]);
    }
  });

  it("tell hashes of other parameters", async () => {
    const phc = await counted().passwords.hash("wonderland");
    const { passwords } = counted({ ...cheap, passes: 2 });
    assert.deepEqual(await passwords.check("wonderland", phc), { matches: true, outdated: true });
  });
});
