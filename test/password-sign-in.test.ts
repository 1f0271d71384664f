import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { nodeArgon2 } from "../src/auth/adapters/node-argon2.ts";
import { createPasswordVerifier } from "../src/auth/domain/credentials/password.ts";
import { createLockout } from "../src/auth/domain/lockout.ts";
import { createPasswords, type Passwords } from "../src/auth/domain/passwords.ts";
import { createSecondFactors } from "../src/auth/domain/second-factors.ts";
import { createSessions } from "../src/auth/domain/sessions.ts";
import { createUsers } from "../src/auth/domain/users.ts";
import { createWorkQueue } from "../src/auth/domain/work-queue.ts";
import { openStores, type Stores } from "../src/auth/stores.ts";
import { createLogger } from "../src/shared/logger/logger.ts";

let dir: string;
let stores: Stores;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), "gatehouse-passwords-"));
  const logger = createLogger({ service: "test", level: "silent" });
  stores = openStores({ redisUrl: "", dataDir: dir, logger, check: { set: () => undefined } });
  await stores.identities.createUser({
    name: "alice",
    roles: [],
    attributes: {},
    passwordHash: await passwordsWith(1).hash("wonderland"),
    disabled: false,
    createTime: 0,
  });
});
after(async () => {
  await stores.close();
  rmSync(dir, { recursive: true });
});

function passwordsWith(passes: number): Passwords {
  return createPasswords({
    argon2: nodeArgon2,
    parameters: { memoryKib: 8_192, passes, parallelism: 1 },
    queue: createWorkQueue({ concurrency: 1, maxQueued: 10, expectedMs: 10 }),
    random: randomBytes,
  });
}

/** What else a verifier needs: here nobody is made to wait, and nobody has a second factor. */
function protection() {
  const rule = { failures: 100, firstDelayMs: 1_000, maxDelayMs: 1_000 };
  const lockout = createLockout({
    store: stores.lockout,
    clock: Date.now,
    rules: { password: rule, "second-factor": rule, network: rule },
    observer: { refused: () => undefined, delayed: () => undefined },
  });
  const secondFactors = createSecondFactors({
    store: stores.secondFactors,
    secretBox: undefined,
    clock: Date.now,
    random: randomBytes,
    issuer: "Gatehouse",
  });
  return { lockout, secondFactors, networkOf: () => undefined };
}

function verifierWith(passes: number) {
  const { identities } = stores;
  const sessions = createSessions({
    store: stores.sessions,
    clock: Date.now,
    random: randomBytes,
    idleTimeoutMs: 60_000,
    maxAgeMs: 600_000,
    limit: 5,
  });
  return createPasswordVerifier({ identities, passwords: passwordsWith(passes), sessions, ...protection() });
}

const storedHash = async (): Promise<string> => (await stores.identities.findUser("alice"))?.passwordHash ?? "";
const alice = (password: string) => ({ kind: "password", username: "Alice", password }) as const;
const context = { signal: undefined } as never;

test("changed parameters reach a user's hash with the next sign-in that succeeds, and only then", async () => {
  const before = await storedHash();
  assert.match(before, /\$m=8192,t=1,p=1\$/);
  await assert.rejects(async () => await verifierWith(2)(alice("wrong") as never, context), {
    code: "UNAUTHENTICATED",
  });
  assert.equal(await storedHash(), before);
  await verifierWith(2)(alice("wonderland") as never, context);
  assert.match(await storedHash(), /\$m=8192,t=2,p=1\$/);
  const rehashed = await storedHash();
  await verifierWith(2)(alice("wonderland") as never, context);
  assert.equal(await storedHash(), rehashed, "a hash of the wanted parameters stays");
});

test("a disabled user is refused like a wrong password", async () => {
  await stores.identities.updateUser("alice", { disabled: true });
  const refusal = async (password: string): Promise<unknown> =>
    await Promise.resolve(verifierWith(2)(alice(password) as never, context)).then(
      () => "accepted",
      ({ code, reason, message }: { code: string; reason: string; message: string }) => ({ code, reason, message }),
    );
  assert.deepEqual(await refusal("wonderland"), await refusal("wrong"));
});

test("no session is left of a sign-in that a change of the password has overtaken", async () => {
  const { identities } = stores;
  const passwords = passwordsWith(1);
  const passwordHash = await passwords.hash("wonderland");
  await identities.createUser({
    name: "erin",
    roles: [],
    attributes: {},
    passwordHash,
    disabled: false,
    createTime: 0,
  });
  const sessions = createSessions({
    store: stores.sessions,
    clock: Date.now,
    random: randomBytes,
    idleTimeoutMs: 60_000,
    maxAgeMs: 600_000,
    limit: 5,
  });
  const users = createUsers({
    identities,
    passwords,
    clock: Date.now,
    endSessions: (name) => sessions.endAll(name),
    removeSecondFactors: () => undefined,
  });
  // The password is changed between the look at it and the session.
  const overtaken: Passwords = {
    ...passwords,
    async check(password, phc) {
      const outcome = await passwords.check(password, phc);
      await users.setPassword("erin", "looking glass");
      return outcome;
    },
  };
  const verify = createPasswordVerifier({ identities, passwords: overtaken, sessions, ...protection() });
  const attempt = { kind: "password", username: "erin", password: "wonderland" } as never;
  await assert.rejects(async () => await verify(attempt, context), { code: "UNAUTHENTICATED" });
  assert.deepEqual(await sessions.list("erin"), []);
});
