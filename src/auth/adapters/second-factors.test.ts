import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { generateSync } from "otplib";
import { openSqlite } from "../../shared/store/sqlite.ts";
import { createSecondFactors, type SecondFactors } from "../domain/second-factors.ts";
import { createSecretBox, SecretBoxError } from "../domain/secret-box.ts";
import { type StoreBackend, storeBackends } from "../testing/store-backends.ts";
import { createSqliteSecondFactorStore } from "./sqlite-second-factors.ts";

const key = randomBytes(32);
const second = 1_000;

/** What an authenticator app shows. */
const codeAt = (secret: string, now: number): string => generateSync({ secret, epoch: Math.floor(now / second) });

for (const [name, start] of Object.entries(storeBackends)) {
  describe(`second factors on ${name}`, () => {
    let stores: StoreBackend;
    let now = 1_800_000_000_000;
    let users = 0;

    before(async () => {
      stores = await start();
    });
    after(() => stores.close());

    const factorsOf = (
      { secondFactors: store }: Pick<StoreBackend, "secondFactors">,
      keys: readonly Uint8Array[] = [key],
    ): SecondFactors =>
      createSecondFactors({
        store,
        secretBox: keys.length === 0 ? undefined : createSecretBox(keys, randomBytes),
        clock: () => now,
        random: randomBytes,
        issuer: "Gatehouse",
      });
    const newUser = (): string => `user-${++users}`;

    /** A user with an authenticator, in a time step whose code is not used yet. */
    async function enrolled(): Promise<{ user: string; secret: string; codes: readonly string[] }> {
      const user = newUser();
      const { secret } = await factorsOf(stores).enrol(user);
      const codes = await factorsOf(stores).confirm(user, codeAt(secret, now));
      assert.ok(codes);
      now += 60 * second;
      return { user, secret, codes };
    }
    const totp = (secret: string) => ({ kind: "totp", code: codeAt(secret, now) }) as const;

    it("begin with a code of the new authenticator, and not without", async () => {
      const user = newUser();
      const factors = factorsOf(stores);
      assert.equal(await factors.confirm(user, "123456"), undefined, "nothing waits for a code");
      const { secret, uri, expireTime } = await factors.enrol(user);
      assert.equal(new URL(uri).searchParams.get("secret"), secret);
      assert.equal(Buffer.from(secret).length, 32, "160 bits in base32");
      const wrong = codeAt(secret, now + 600 * second);
      assert.equal(await factors.confirm(user, wrong), undefined);
      assert.equal(await factors.use(user, totp(secret)), false, "it is not confirmed");
      assert.deepEqual(await factors.status(user), { totpCreateTime: undefined, backupCodesLeft: 0 });
      const codes = await factors.confirm(user, codeAt(secret, now));
      assert.equal(codes?.length, 10);
      assert.deepEqual(await factors.status(user), { totpCreateTime: now, backupCodesLeft: 10 });
      assert.equal(await factors.confirm(user, codeAt(secret, now)), undefined, "once");
      assert.equal(await factors.use(user, totp(secret)), false, "the code is used");
      assert.equal(expireTime, now + 600 * second);
    });

    it("cannot be confirmed too late, nor by a code of an authenticator that was replaced", async () => {
      const user = newUser();
      const factors = factorsOf(stores);
      const first = await factors.enrol(user);
      const later = await factors.enrol(user);
      assert.equal(await factors.confirm(user, codeAt(first.secret, now)), undefined);
      now = later.expireTime;
      assert.equal(await factors.confirm(user, codeAt(later.secret, now)), undefined);
    });

    it("take each code once, and none older than the last", async () => {
      const { user, secret } = await enrolled();
      const factors = factorsOf(stores);
      const [previous, current] = [codeAt(secret, now - 30 * second), codeAt(secret, now)];
      assert.equal(await factors.use(user, { kind: "totp", code: current }), true);
      assert.equal(await factors.use(user, { kind: "totp", code: current }), false);
      assert.equal(await factors.use(user, { kind: "totp", code: previous }), false);
      now += 30 * second;
      assert.equal(await factors.use(user, { kind: "totp", code: current }), false, "within the drift");
      assert.equal(await factors.use(user, totp(secret)), true);
    });

    it("take a code once, however many replicas get it at the same time", async () => {
      const { user, secret, codes } = await enrolled();
      const replicas = [factorsOf(stores), factorsOf(stores.replica)];
      for (const proof of [totp(secret), { kind: "backupCode", code: codes[0] ?? "" }] as const) {
        const answers = await Promise.all(
          Array.from({ length: 50 }, async (_, attempt) => await replicas[attempt % 2]!.use(user, proof)),
        );
        assert.equal(answers.filter((accepted) => accepted).length, 1, proof.kind);
      }
      assert.equal((await replicas[1]!.status(user)).backupCodesLeft, 9);
    });

    it("are confirmed once, however often at the same time", async () => {
      const user = newUser();
      const factors = factorsOf(stores);
      const { secret } = await factors.enrol(user);
      const code = codeAt(secret, now);
      const answers = await Promise.all(Array.from({ length: 20 }, async () => await factors.confirm(user, code)));
      const [codes, ...none] = answers.filter((answer) => answer !== undefined);
      assert.deepEqual(none, []);
      assert.equal(await factors.use(user, { kind: "backupCode", code: codes?.[3] ?? "" }), true);
    });

    it("take backup codes of their user alone, and none once there are new ones", async () => {
      const { user, codes } = await enrolled();
      const other = await enrolled();
      const factors = factorsOf(stores);
      const [first = "", second = ""] = codes;
      assert.equal(await factors.use(other.user, { kind: "backupCode", code: first }), false);
      assert.equal(await factors.use(user, { kind: "backupCode", code: first.toLowerCase() }), true);
      assert.equal(await factors.use(user, { kind: "backupCode", code: first }), false);
      const replaced = await factors.replaceBackupCodes(user);
      assert.equal(replaced?.length, 10);
      assert.equal(await factors.use(user, { kind: "backupCode", code: second }), false);
      assert.equal(await factors.use(user, { kind: "backupCode", code: replaced?.[9] ?? "" }), true);
      assert.equal(await factors.replaceBackupCodes(newUser()), undefined, "without an authenticator there are none");
    });

    it("stay in force while another authenticator waits to be confirmed", async () => {
      const { user, secret, codes } = await enrolled();
      const factors = factorsOf(stores);
      const next = await factors.enrol(user);
      assert.equal(await factors.use(user, totp(secret)), true);
      now += 60 * second;
      assert.ok(await factors.confirm(user, codeAt(next.secret, now)));
      now += 60 * second;
      assert.equal(await factors.use(user, totp(secret)), false);
      assert.equal(await factors.use(user, { kind: "backupCode", code: codes[0] ?? "" }), false);
      assert.equal(await factors.use(user, totp(next.secret)), true);
    });

    it("are gone when removed", async () => {
      const { user, secret, codes } = await enrolled();
      const factors = factorsOf(stores);
      await factors.enrol(user);
      assert.equal(await factors.remove(user), true);
      assert.equal(await factors.remove(user), false);
      assert.deepEqual(await factors.status(user), { totpCreateTime: undefined, backupCodesLeft: 0 });
      assert.equal(await factors.use(user, totp(secret)), false);
      assert.equal(await factors.use(user, { kind: "backupCode", code: codes[0] ?? "" }), false);
    });

    it("cannot be used without their key, nor for another user", async () => {
      const { user, secret } = await enrolled();
      const keyless = factorsOf(stores, []);
      assert.equal(keyless.available, false);
      assert.equal(await keyless.use(user, totp(secret)), false);
      await assert.rejects(
        async () => await factorsOf(stores, [randomBytes(32)]).use(user, totp(secret)),
        SecretBoxError,
      );
      const stolen = (await stores.secondFactors.find(user)).totp?.sealedSecret ?? "";
      const thief = newUser();
      await stores.secondFactors.begin(thief, stolen, now + second);
      await assert.rejects(async () => await factorsOf(stores).confirm(thief, codeAt(secret, now)), SecretBoxError);
    });
  });
}

it("neither a secret nor a backup code is in the embedded store", async () => {
  const dir = mkdtempSync(join(tmpdir(), "gatehouse-stores-"));
  const database = openSqlite(join(dir, "auth.db"));
  const secret = randomBytes(20);
  const factors = createSecondFactors({
    store: createSqliteSecondFactorStore(database),
    secretBox: createSecretBox([key], randomBytes),
    clock: Date.now,
    random: (size) => (size === secret.length ? secret : randomBytes(size)),
    issuer: "Gatehouse",
  });
  const enrolment = await factors.enrol("alice");
  const codes = (await factors.confirm("alice", codeAt(enrolment.secret, Date.now()))) ?? [];
  assert.equal(codes.length, 10);
  const bytes = ["auth.db", "auth.db-wal"].map((file) => readFileSync(join(dir, file), "latin1")).join("");
  const forms = [secret.toString("latin1"), secret.toString("hex"), secret.toString("base64url"), enrolment.secret];
  for (const text of [...forms, ...codes, ...codes.map((code) => code.replaceAll("-", ""))]) {
    assert.ok(!bytes.includes(text));
  }
  assert.ok(bytes.includes("alice"), "it is the right file");
  database.close();
  rmSync(dir, { recursive: true });
});
