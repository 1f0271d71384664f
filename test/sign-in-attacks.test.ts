import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { generateSync } from "otplib";
import { type AuthReplica, type AuthReplicas, outcome, startAuthReplicas } from "./support/auth-replicas.ts";
import { eventually } from "./support/eventually.ts";
import { startRedisServer } from "./support/redis-server.ts";

const second = 1_000;
const minute = 60 * second;

/** What stands behind the replicas: its variables, and how to end it. */
const stores: Readonly<Record<string, () => Promise<{ env: Record<string, string>; close(): Promise<void> }>>> = {
  SQLite: async () => ({ env: {}, close: async () => undefined }),
  Redis: async () => {
    const server = await startRedisServer();
    return { env: { REDIS_URL: server.url }, close: () => server.stop() };
  },
};

for (const [name, start] of Object.entries(stores)) {
  describe(`attacks on sign-in, with two replicas on ${name}`, () => {
    let store: Awaited<ReturnType<(typeof stores)[string]>>;
    let replicas: AuthReplicas;
    let here: AuthReplica;
    let there: AuthReplica;
    let now = 1_800_000_000_000;
    let networks = 0;

    before(async () => {
      store = await start();
      replicas = await startAuthReplicas(2, { ...store.env, TRUSTED_PROXIES: "127.0.0.1" }, () => now);
      [here, there] = replicas.all as [AuthReplica, AuthReplica];
    });
    after(async () => {
      await replicas.close();
      await store.close();
    });

    type Factor = { case: "totpCode" | "backupCode"; value: string };
    const newNetwork = (): string => `10.7.${Math.floor(++networks / 250)}.${networks % 250}`;

    function signIn(
      replica: AuthReplica,
      username: string,
      password: string,
      { factor, from = newNetwork() }: { factor?: Factor; from?: string } = {},
    ) {
      return replica.auth.authenticate(
        {
          credential: { case: "password", value: { username, password } },
          ...(factor === undefined ? {} : { secondFactor: { factor } }),
        },
        { headers: { "x-forwarded-for": from } },
      );
    }
    const guess = (username: string, from?: string): Promise<string> =>
      outcome(signIn(here, username, "wrong", from === undefined ? {} : { from }));

    const code = (secret: string): Factor => ({
      case: "totpCode",
      value: generateSync({ secret, epoch: now / second }),
    });
    const wrongCode = (secret: string): Factor => ({
      case: "totpCode",
      value: generateSync({ secret, epoch: now / second + 3_000 }),
    });

    /** Gives one of the demo's users an authenticator, new for each case. */
    async function enrol(username: string, password: string, before?: string) {
      now += 2 * 60 * minute;
      const factor = before === undefined ? {} : { factor: code(before) };
      const { sessionToken } = await signIn(here, username, password, factor);
      const headers = { authorization: `Bearer ${sessionToken}` };
      const { secret } = await here.factors.enrolTotp({}, { headers });
      now += 30 * second;
      const { backupCodes } = await here.factors.confirmTotp({ code: code(secret).value }, { headers });
      now += 30 * second;
      return { secret, backupCodes, sessionToken };
    }

    describe("with the codes of a user", () => {
      let secret: string;
      let backupCodes: string[];
      let passwordSession: string;

      before(async () => {
        ({ secret, backupCodes, sessionToken: passwordSession } = await enrol("admin", "gatehouse"));
      });
      const admin = (replica: AuthReplica, factor?: Factor): Promise<string> =>
        outcome(signIn(replica, "admin", "gatehouse", factor === undefined ? {} : { factor }));

      it("refuses a replayed code on the other replica", async () => {
        now += minute;
        assert.equal(await admin(here, code(secret)), "accepted");
        assert.equal(await admin(there, code(secret)), "SECOND_FACTOR_NOT_VALID");
        now += 30 * second;
        assert.equal(await admin(there, code(secret)), "accepted");
      });

      it("accepts a code once when both replicas get it at the same time", async () => {
        now += minute;
        const factor = code(secret);
        const answers = await Promise.all(
          Array.from({ length: 5 }, (_, attempt) => admin(attempt % 2 === 0 ? here : there, factor)),
        );
        assert.equal(answers.filter((answer) => answer === "accepted").length, 1, answers.join());
        now += 2 * 60 * minute;
        assert.equal(await admin(here, code(secret)), "accepted");
      });

      it("refuses a replayed backup code on the other replica", async () => {
        const factor: Factor = { case: "backupCode", value: backupCodes[0] ?? "" };
        assert.equal(await admin(here, factor), "accepted");
        assert.equal(await admin(there, factor), "SECOND_FACTOR_NOT_VALID");
        assert.equal(await admin(there, { case: "backupCode", value: backupCodes[1] ?? "" }), "accepted");
      });

      it("refuses a right code beside a wrong password, without a word on the code", async () => {
        now += minute;
        const answer = outcome(signIn(here, "admin", "wrong", { factor: code(secret) }));
        assert.equal(await answer, "CREDENTIAL_NOT_VALID");
        assert.equal(await admin(here, code(secret)), "accepted", "and the code is not used up");
      });

      it("stops the guessing of codes, also with the right password in between", async () => {
        now += minute;
        for (let attempt = 0; attempt < 5; attempt += 1) {
          assert.equal(await admin(here), "SECOND_FACTOR_REQUIRED");
          assert.equal(await admin(attempt % 2 === 0 ? here : there, wrongCode(secret)), "SECOND_FACTOR_NOT_VALID");
        }
        assert.equal(await admin(there, wrongCode(secret)), "TOO_MANY_FAILURES 1s");
        assert.equal(await admin(there, code(secret)), "TOO_MANY_FAILURES 1s", "the right one too");
        now += second;
        assert.equal(await admin(there, wrongCode(secret)), "SECOND_FACTOR_NOT_VALID");
        assert.equal(await admin(here, { case: "backupCode", value: backupCodes[2] ?? "" }), "TOO_MANY_FAILURES 2s");
        now += 2 * second;
        assert.equal(await admin(here, code(secret)), "accepted");
      });

      it("does not tell of a hundred passwords guessed at once that one is right", async () => {
        now += 24 * 60 * minute;
        const answers = await Promise.all(
          Array.from({ length: 100 }, (_, attempt) =>
            outcome(signIn(attempt % 2 === 0 ? here : there, "admin", attempt === 99 ? "gatehouse" : "wrong")),
          ),
        );
        assert.equal(answers[99], "TOO_MANY_FAILURES 1s");
        now += 24 * 60 * minute;
        assert.equal(await admin(here, code(secret)), "accepted");
      });

      it("does not let a session without the second factor, or one of long ago, change anything", async () => {
        const refusals = async (token: string): Promise<string[]> => {
          const options = { headers: { authorization: `Bearer ${token}` } };
          const { factors } = there;
          const calls = [
            factors.enrolTotp({}, options),
            factors.confirmTotp({ code: "123456" }, options),
            factors.removeTotp({}, options),
            factors.regenerateBackupCodes({}, options),
          ];
          return [...new Set(await Promise.all(calls.map(outcome)))];
        };
        now += minute;
        const { sessionToken } = await signIn(here, "alice", "wonderland");
        assert.deepEqual(await refusals("nonsense"), ["CREDENTIAL_NOT_VALID"]);
        now += 10 * minute + 1;
        assert.deepEqual(await refusals(sessionToken), ["RECENT_SIGN_IN_REQUIRED"]);
        const fresh = await enrol("bob", "builder");
        assert.deepEqual(await refusals(fresh.sessionToken), ["SECOND_FACTOR_REQUIRED"]);
        assert.deepEqual(await refusals(passwordSession), ["CREDENTIAL_NOT_VALID"], "it has been idle for too long");
        const { factors } = there;
        assert.equal(await outcome(factors.getSecondFactors({})), "CREDENTIAL_MISSING");
      });

      it("does not write secrets and codes to the log", () => {
        assert.match(replicas.logs(), /ConfirmTotp/);
        for (const text of [secret, ...backupCodes, "wonderland", passwordSession]) {
          assert.ok(!replicas.logs().includes(text));
        }
      });
    });

    it("counts one name however it is written, known or not", async () => {
      const spellings = {
        alice: ["alice", "ALICE", "aLiCe", "ａｌｉｃｅ", "ＡＬＩＣＥ", "alⅰce"],
        josé: ["josé", "jose\u0301", "JOSÉ", "JOSE\u0301", "ｊｏｓé", "Ｊosé"],
        straße: ["straße", "STRASSE", "strasse", "STRAẞE", "ſtraße", "ﬆraße"],
      };
      for (const names of Object.values(spellings)) {
        now += 60 * minute;
        const answers = [];
        for (const name of names) answers.push(await guess(name));
        assert.deepEqual(answers, [...Array<string>(5).fill("CREDENTIAL_NOT_VALID"), "TOO_MANY_FAILURES 1s"], names[0]);
      }
    });

    it("answers for a user as for nobody, through all delays", async () => {
      now += 24 * 60 * minute;
      const tellOf = async (user: string): Promise<string[]> => {
        const answers = [];
        for (let attempt = 0; attempt < 40; attempt += 1) {
          answers.push(await guess(user));
          const wait = /(\S+)s$/.exec(answers.at(-1) ?? "")?.[1];
          if (wait !== undefined) now += Number(wait) * second;
        }
        return answers;
      };
      const [known, unknown] = [await tellOf("alice"), await tellOf("nobody-at-all")];
      assert.deepEqual(known, unknown);
      assert.equal(known.at(-1), "TOO_MANY_FAILURES 900s", "the delay has an end");
    });

    it("lets a user in on a known network while others try, and on a new one after the delay", async () => {
      now += 24 * 60 * minute;
      const home = newNetwork();
      assert.equal(await outcome(signIn(here, "alice", "wonderland", { from: home })), "accepted");
      for (let attempt = 0; attempt < 30; attempt += 1) {
        await guess("alice");
        now += attempt * minute;
      }
      await guess("alice");
      assert.equal(await outcome(signIn(there, "alice", "wonderland", { from: home })), "accepted");
      assert.match(await outcome(signIn(there, "alice", "wonderland")), /^TOO_MANY_FAILURES/);
      now += 15 * minute;
      assert.equal(await outcome(signIn(there, "alice", "wonderland")), "accepted");
    });

    it("slows one address that tries many names, whatever it says of itself", async () => {
      now += 24 * 60 * minute;
      const answers = [];
      for (let attempt = 0; attempt < 52; attempt += 1) {
        answers.push(await guess(`name-${attempt}`, `192.0.2.${attempt}, 2001:db8:7:7:${attempt}::1`));
      }
      assert.deepEqual(new Set(answers.slice(0, 50)), new Set(["CREDENTIAL_NOT_VALID"]));
      assert.deepEqual(answers.slice(50), ["TOO_MANY_FAILURES 1s", "TOO_MANY_FAILURES 1s"]);
      assert.equal(await guess("name-x", "2001:db8:7:8::1"), "CREDENTIAL_NOT_VALID", "the next /64 is somebody else's");
      now += minute;
      const headers = new Headers({ "x-forwarded-for": "192.0.2.77" });
      headers.append("x-forwarded-for", "2001:db8:7:7::2");
      const twice = here.auth.authenticate(
        { credential: { case: "password", value: { username: "name-y", password: "wrong" } } },
        { headers },
      );
      assert.equal(await outcome(twice), "CREDENTIAL_NOT_VALID");
      assert.equal(await guess("name-z", "2001:db8:7:7::3"), "TOO_MANY_FAILURES 2s", "the last of two headers counts");
    });

    it("answers five of a hundred guesses that come at once, and does not tell which one was right", async () => {
      now += 24 * 60 * minute;
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, attempt) =>
          outcome(signIn(attempt % 2 === 0 ? here : there, "alice", attempt === 99 ? "wonderland" : "wrong")),
        ),
      );
      assert.equal(answers.filter((answer) => answer === "CREDENTIAL_NOT_VALID").length, 5);
      assert.equal(answers[99], "TOO_MANY_FAILURES 1s");
    });

    it("counts delays and refusals", async () => {
      const answer = await fetch(`http://127.0.0.1:${here.httpPort}/metrics`);
      const metrics = await answer.text();
      for (const kind of ["password", "second-factor", "network"]) {
        for (const metric of ["lockout_delays_total", "lockout_refusals_total"]) {
          assert.match(metrics, new RegExp(`^${metric}\\{kind="${kind}",[^}]*\\} [1-9]`, "m"));
        }
      }
      for (const result of ["accepted", "CREDENTIAL_NOT_VALID", "SECOND_FACTOR_REQUIRED", "TOO_MANY_FAILURES"]) {
        assert.match(metrics, new RegExp(`^sign_ins_total\\{result="${result}",[^}]*\\} [1-9]`, "m"));
      }
    });
  });
}

it("does not believe x-forwarded-for of a peer that is no trusted proxy", async () => {
  const replicas = await startAuthReplicas(1, { LOCKOUT_NETWORK_FAILURES: "3" }, () => 1_800_000_000_000);
  try {
    const answers = [];
    for (let attempt = 0; attempt < 4; attempt += 1) {
      const call = replicas.all[0]!.auth.authenticate(
        { credential: { case: "password", value: { username: `name-${attempt}`, password: "wrong" } } },
        { headers: { "x-forwarded-for": `192.0.2.${attempt}` } },
      );
      answers.push(await outcome(call));
    }
    assert.equal(answers[3], "TOO_MANY_FAILURES 1s");
  } finally {
    await replicas.close();
  }
});

it("lets nobody in while failures cannot be counted, and knows them again after a kill -9 of Redis", async () => {
  const server = await startRedisServer();
  const replicas = await startAuthReplicas(1, { REDIS_URL: server.url }, () => 1_800_000_000_000);
  const signIn = (username: string, password: string): Promise<string> =>
    outcome(replicas.all[0]!.auth.authenticate({ credential: { case: "password", value: { username, password } } }));
  try {
    for (let attempt = 0; attempt < 5; attempt += 1) await signIn("alice", "wrong");
    await server.kill();
    assert.equal(await signIn("bob", "builder"), "STORE_UNAVAILABLE 1s");
    await server.start();
    await eventually(async () => assert.equal(await signIn("bob", "builder"), "accepted"));
    assert.equal(await signIn("alice", "wonderland"), "TOO_MANY_FAILURES 1s");
  } finally {
    await replicas.close();
    await server.stop();
  }
});

it("takes no authenticator's code without a key to check it with, whoever is asked for", async () => {
  const replicas = await startAuthReplicas(1, { GATEHOUSE_PROFILE: "production" }, Date.now);
  try {
    const answer = outcome(
      replicas.all[0]!.auth.authenticate({
        credential: { case: "password", value: { username: "nobody", password: "wrong" } },
        secondFactor: { factor: { case: "totpCode", value: "123456" } },
      }),
    );
    assert.equal(await answer, "SECOND_FACTOR_NOT_SUPPORTED");
  } finally {
    await replicas.close();
  }
});
