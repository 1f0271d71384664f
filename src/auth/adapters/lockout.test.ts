import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import {
  type CounterState,
  createLockout,
  type FailureCounter,
  type Failures,
  type Lockout,
  type LockoutRule,
  nextFailures,
} from "../domain/lockout.ts";
import { type StoreBackend, storeBackends } from "../testing/store-backends.ts";

const second = 1_000;
const minute = 60 * second;
const day = 24 * 60 * minute;
const rule: LockoutRule = { failures: 3, firstDelayMs: second, maxDelayMs: minute };
const networkRule: LockoutRule = { ...rule, failures: 10 };

/** What a call was refused with, and for how long; or "no". */
async function refusal(call: () => unknown): Promise<string> {
  try {
    await call();
    return "no";
  } catch (error) {
    const { reason, retryAfterMs } = error as { reason: string; retryAfterMs: number };
    return `${reason} ${retryAfterMs / second}s`;
  }
}

for (const [name, start] of Object.entries(storeBackends)) {
  describe(`lockout on ${name}`, () => {
    let stores: StoreBackend;
    let now = 1_800_000_000_000;
    let names = 0;
    let events: string[] = [];

    before(async () => {
      stores = await start();
    });
    after(() => stores.close());

    const lockoutOf = ({ lockout: store }: Pick<StoreBackend, "lockout">): Lockout =>
      createLockout({
        store,
        clock: () => now,
        rules: { password: rule, "second-factor": rule, network: networkRule },
        observer: {
          refused: (kind) => events.push(`refused ${kind}`),
          delayed: (kind) => events.push(`delayed ${kind}`),
        },
      });
    const newName = (): string => `user-${++names}`;
    const newNetwork = (): string => `10.0.${Math.floor(++names / 256)}.${names % 256}`;

    async function fail(who: { name: string; network: string | undefined }, times: number): Promise<void> {
      for (let time = 0; time < times; time += 1) await lockoutOf(stores).failed("password", who);
    }

    it("begins with the last failure that is free, doubles, and has an end", async () => {
      const who = { name: newName(), network: undefined };
      const lockout = lockoutOf(stores);
      events = [];
      await fail(who, 2);
      assert.equal(await refusal(() => lockout.check("password", who)), "no");
      for (const delay of [1, 2, 4, 8, 16, 32, 60, 60, 60]) {
        await fail(who, 1);
        assert.equal(await refusal(() => lockout.check("password", who)), `TOO_MANY_FAILURES ${delay}s`);
        now += delay * second - 1;
        assert.equal(await refusal(() => lockout.check("password", who)), "TOO_MANY_FAILURES 0.001s");
        now += 1;
        assert.equal(await refusal(() => lockout.check("password", who)), "no");
      }
      assert.equal(events.filter((event) => event === "delayed password").length, 9);
      assert.equal(events.filter((event) => event === "refused password").length, 18);
    });

    it("forgives one failure for each longest delay without another, and all in the end", async () => {
      const who = { name: newName(), network: undefined };
      await fail(who, 3);
      now += second + minute;
      await fail(who, 1);
      assert.equal(await refusal(() => lockoutOf(stores).check("password", who)), "TOO_MANY_FAILURES 1s");
      now += second + 20 * minute;
      await fail(who, 2);
      assert.equal(await refusal(() => lockoutOf(stores).check("password", who)), "no");
    });

    it("forgives nothing for the delay itself", async () => {
      const who = { name: newName(), network: undefined };
      await fail(who, 3);
      now += second;
      await fail(who, 1);
      now += 2 * second + minute - 1;
      await fail(who, 1);
      assert.equal(await refusal(() => lockoutOf(stores).check("password", who)), "TOO_MANY_FAILURES 4s");
    });

    it("counts names, networks and second factors apart", async () => {
      const who = { name: newName(), network: newNetwork() };
      await fail(who, 3);
      const lockout = lockoutOf(stores);
      assert.equal(await refusal(() => lockout.check("password", who)), "TOO_MANY_FAILURES 1s");
      assert.equal(await refusal(() => lockout.check("second-factor", who)), "no");
      assert.equal(await refusal(() => lockout.check("password", { ...who, name: newName() })), "no");
      assert.equal(
        await refusal(() => lockout.check("password", { ...who, network: newNetwork() })),
        "TOO_MANY_FAILURES 1s",
        "another network does not help",
      );
    });

    it("slows a network that tries many names, and goes on when it has an account of its own", async () => {
      const network = newNetwork();
      const own = { name: newName(), network };
      for (let time = 0; time < 9; time += 1) {
        await lockoutOf(stores).succeeded(["password"], own);
        await fail({ name: newName(), network }, 1);
      }
      const other = { name: newName(), network };
      const lockout = lockoutOf(stores);
      assert.equal(await refusal(() => lockout.check("password", other)), "no");
      await fail({ name: newName(), network }, 1);
      assert.equal(await refusal(() => lockout.check("password", other)), "TOO_MANY_FAILURES 1s");
      assert.equal(await refusal(() => lockout.succeeded(["password"], other)), "TOO_MANY_FAILURES 1s");
      assert.equal(
        await refusal(() => lockout.check("password", other)),
        "TOO_MANY_FAILURES 1s",
        "nor is it known now",
      );
    });

    it("does not hold up a user on a known network for the failures of others, there or elsewhere", async () => {
      const home = { name: newName(), network: newNetwork() };
      await lockoutOf(stores).succeeded(["password"], home);
      await fail({ ...home, network: newNetwork() }, 3);
      for (let time = 0; time < 10; time += 1) await fail({ name: newName(), network: home.network }, 1);
      const lockout = lockoutOf(stores);
      const elsewhere = { ...home, network: newNetwork() };
      assert.equal(await refusal(() => lockout.check("password", elsewhere)), "TOO_MANY_FAILURES 1s");
      assert.equal(
        await refusal(() => lockout.check("password", { ...home, name: newName() })),
        "TOO_MANY_FAILURES 1s",
      );
      assert.equal(await refusal(() => lockout.check("password", home)), "no");
      await fail(home, 3);
      assert.equal(await refusal(() => lockout.check("password", home)), "TOO_MANY_FAILURES 1s", "but for their own");
      now += 91 * day;
      await fail({ ...home, network: newNetwork() }, 3);
      assert.equal(
        await refusal(() => lockout.check("password", home)),
        "TOO_MANY_FAILURES 1s",
        "once forgotten, no more",
      );
    });

    it("remembers the networks used last, and no more than twenty", async () => {
      const user = newName();
      const networks = Array.from({ length: 21 }, newNetwork);
      for (const network of networks) {
        await lockoutOf(stores).succeeded(["password"], { name: user, network });
        now += second;
      }
      await fail({ name: user, network: undefined }, 3);
      const lockout = lockoutOf(stores);
      const blocked = await Promise.all(
        networks.map(async (network) => await refusal(() => lockout.check("password", { name: user, network }))),
      );
      assert.deepEqual(blocked, ["TOO_MANY_FAILURES 1s", ...Array<string>(20).fill("no")]);
    });

    it("forgets the failures of a user who signs in, but not while they are made to wait", async () => {
      const who = { name: newName(), network: undefined };
      const lockout = lockoutOf(stores);
      await fail(who, 2);
      await lockout.succeeded(["password"], who);
      await fail(who, 3);
      assert.equal(await refusal(() => lockout.succeeded(["password"], who)), "TOO_MANY_FAILURES 1s");
      now += second;
      await lockout.succeeded(["password"], who);
      await fail(who, 2);
      assert.equal(await refusal(() => lockout.check("password", who)), "no");
    });

    it("is ended by an administrator", async () => {
      const who = { name: newName(), network: newNetwork() };
      const lockout = lockoutOf(stores);
      await fail(who, 3);
      await lockout.forgive(who.name);
      assert.equal(await refusal(() => lockout.check("password", who)), "no");
      await fail(who, 2);
      assert.equal(await refusal(() => lockout.check("password", who)), "no", "from the first on");
      await lockout.succeeded(["password"], who);
      await fail(who, 3);
      await lockout.forgive(who.name);
      assert.equal(await refusal(() => lockout.check("password", who)), "no", "on a known network too");
    });

    it("answers no more guesses than it allows, however many run at once on two replicas", async () => {
      const who = { name: newName(), network: newNetwork() };
      const replicas = [lockoutOf(stores), lockoutOf(stores.replica)];
      const answers = await Promise.all(
        Array.from({ length: 100 }, async (_, guess) => {
          const lockout = replicas[guess % 2]!;
          return guess === 99
            ? await refusal(() => lockout.succeeded(["password"], who))
            : await refusal(() => lockout.failed("password", who));
        }),
      );
      assert.equal(answers.filter((answer) => answer === "no").length, 3);
      assert.equal(answers[99], "TOO_MANY_FAILURES 1s", "the right one learns nothing either");
    });

    it("keeps its counters as the rule says, whatever happens in whatever order", async () => {
      const step = fc.record({
        act: fc.constantFrom("read", "fail", "fail", "fail", "succeed"),
        network: fc.constantFrom("198.51.100.1", "2001:db8:0:0::/64", undefined),
        passMs: fc.oneof(fc.nat(100), fc.nat(3 * second), fc.nat(5 * minute)),
      });
      const runs = fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const subject = Buffer.from(newName().padEnd(32)).toString("base64url");
        const known = new Set<string>();
        const counters = new Map<string, Failures>();
        for (const { act, network, passMs } of steps) {
          now += passMs;
          const own = network !== undefined && known.has(network) ? network : "";
          const held = counters.get(own) ?? { count: 0, lastTime: 0, blockedUntil: 0 };
          const blocked = held.blockedUntil > now;
          let expected: CounterState = {
            blockedUntil: blocked ? held.blockedUntil : 0,
            known: own !== "",
            delayedUntil: 0,
          };
          if (!blocked && act === "fail") {
            const next = nextFailures(held, rule, now);
            counters.set(own, next);
            expected = { ...expected, delayedUntil: next.blockedUntil };
          } else if (!blocked && act === "succeed") {
            counters.delete(own);
            if (network !== undefined) {
              known.add(network);
              expected = { ...expected, known: true };
            }
          }
          const counter: FailureCounter = { kind: "password", subject, ...(network === undefined ? {} : { network }) };
          const { lockout } = stores;
          const actual =
            act === "read"
              ? await lockout.read(counter, now)
              : act === "fail"
                ? await lockout.fail(counter, rule, now)
                : await lockout.succeed(counter, now);
          assert.deepEqual(actual, expected);
        }
      });
      await fc.assert(runs, { numRuns: 50 });
    });
  });
}
