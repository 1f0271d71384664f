import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { RevocationSchema } from "../../gen/gatehouse/bus/v1/topics_pb.ts";
import { type Bus, createBus } from "../../src/shared/bus/bus.ts";
import type { Outgoing } from "../../src/shared/bus/message.ts";
import { comparePositions } from "../../src/shared/bus/position.ts";
import { defineTopic, type Topic } from "../../src/shared/bus/topic.ts";
import { openTestLog } from "./bus-store.ts";
import { eventually } from "./eventually.ts";

type TestTopic = Topic<typeof RevocationSchema>;

let topicCount = 0;

/** A topic that no other test uses. */
export function newTopic(maxLength = 1_000): TestTopic {
  topicCount += 1;
  return defineTopic({ name: `test-${process.pid}-${topicCount}`, schema: RevocationSchema, maxLength });
}

/** A message that is recognized by its operation. */
export function message(operation: string): Outgoing<typeof RevocationSchema> {
  return { service: "test", operation, payload: { subject: { case: "tokenId", value: operation } } };
}

export function range(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => `m${from + i}`);
}

export async function publishAll(bus: Bus, topic: TestTopic, operations: readonly string[]): Promise<string> {
  let position = "";
  for (const operation of operations) position = await bus.publish(topic, message(operation));
  return position;
}

/** What every bus does, whatever its store. `start` answers a store for `openTestLog`, and how to stop it. */
export function describeBus(name: string, start: () => Promise<{ store: string; stop: () => Promise<void> }>): void {
  describe(name, () => {
    let store = "";
    let stop: () => Promise<void>;
    /** Two processes' worth of bus on the same store. */
    let bus: Bus;
    let other: Bus;
    let ending = new AbortController();
    const children = new Set<ChildProcess>();

    before(async () => {
      ({ store, stop } = await start());
      bus = createBus({ log: openTestLog(store) });
      other = createBus({ log: openTestLog(store) });
      ending = new AbortController();
    });

    after(async () => {
      for (const child of children) child.kill("SIGKILL");
      ending.abort();
      await bus.close();
      await other.close();
      await stop();
    });

    const fail = (reason: string): never => assert.fail(`gap: ${reason}`);

    /** Starts a process on the bus, and collects what it reports. */
    function startChild(role: string, topic: TestTopic): { child: ChildProcess; reports: Record<string, unknown>[] } {
      const script = join(import.meta.dirname, "bus-child.ts");
      const child = spawn(process.execPath, [script, store, role, topic.name], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      children.add(child);
      const reports: Record<string, unknown>[] = [];
      createInterface({ input: child.stdout }).on("line", (line) => reports.push(JSON.parse(line)));
      return { child, reports };
    }

    it("delivers to every follower, in order, what was published", async () => {
      const topic = newTopic();
      const seen: [string[], string[]] = [[], []];
      const positions: string[] = [];
      for (const [i, reader] of [bus, other].entries()) {
        reader.follow(topic, {
          after: "start",
          signal: ending.signal,
          onGap: fail,
          onMessage: ({ operation, payload, service, position }) => {
            assert.equal(service, "test");
            assert.deepEqual({ ...payload.subject }, { case: "tokenId", value: operation });
            seen[i as 0 | 1].push(operation);
            if (i === 0) positions.push(position);
          },
        });
      }
      const wanted = range(300);
      const published = await Promise.all(wanted.map((operation) => bus.publish(topic, message(operation))));
      await eventually(() => assert.equal(seen[0].length + seen[1].length, 600));
      assert.deepEqual([...seen[0]].sort(), [...wanted].sort());
      assert.deepEqual(seen[1], seen[0]);
      assert.deepEqual(positions, [...published].sort(comparePositions));
    });

    it("begins after a position, with the oldest, or with what comes next", async () => {
      const topic = newTopic();
      await publishAll(bus, topic, ["a", "b"]);
      const afterB = await bus.position(topic);
      await publishAll(bus, topic, ["c"]);
      const seen = { start: "", b: "", now: "" };
      const follow = (after: string, key: keyof typeof seen): ReturnType<Bus["follow"]> =>
        other.follow(topic, {
          after,
          signal: ending.signal,
          onGap: fail,
          onMessage: ({ operation }) => {
            seen[key] += operation;
          },
        });
      follow("start", "start");
      follow(afterB, "b");
      const late = follow("now", "now");
      await eventually(() => assert.equal(late.isFresh(), true));
      await publishAll(bus, topic, ["d"]);
      await eventually(() => assert.deepEqual(seen, { start: "abcd", b: "cd", now: "d" }));
    });

    it("lets callers wait for a position, until a deadline", async () => {
      const topic = newTopic();
      let release = (): void => undefined;
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      const follower = other.follow(topic, {
        after: "start",
        signal: ending.signal,
        onGap: fail,
        onMessage: () => held,
      });
      const position = await bus.publish(topic, message("a"));
      await assert.rejects(follower.waitFor(position, Date.now() + 100), { code: "DEADLINE_EXCEEDED" });
      const waiting = follower.waitFor(position, Date.now() + 10_000);
      release();
      await waiting;
      assert.equal(follower.position, position);
      await follower.waitFor(position, 0);
      await assert.rejects(follower.waitFor("nonsense", 0), { code: "INVALID_ARGUMENT" });
    });

    it("refuses those who wait when the following ends", async () => {
      const own = new AbortController();
      const follower = other.follow(newTopic(), {
        after: "start",
        signal: own.signal,
        onGap: fail,
        onMessage: () => fail("no message was expected"),
      });
      const waiting = assert.rejects(follower.waitFor("9-9", Date.now() + 10_000), { reason: "BUS_CLOSED" });
      own.abort();
      await waiting;
      await follower.closed;
      assert.equal(follower.isFresh(), false);
    });

    it("repeats a message that a follower fails to apply, and is stale until it succeeds", async () => {
      const topic = newTopic();
      let broken = true;
      const seen: string[] = [];
      const changes: string[] = [];
      const follower = other.follow(topic, {
        after: "start",
        staleAfterMs: 200,
        signal: ending.signal,
        onGap: fail,
        onFresh: () => changes.push("fresh"),
        onStale: () => changes.push("stale"),
        onMessage: ({ operation }) => {
          if (broken && operation === "b") throw new Error("not now");
          seen.push(operation);
        },
      });
      await eventually(() => assert.equal(follower.isFresh(), true));
      await publishAll(bus, topic, ["a", "b", "c"]);
      await eventually(() => assert.deepEqual(changes, ["fresh", "stale"]));
      assert.equal(follower.isFresh(), false);
      assert.deepEqual(seen, ["a"]);
      broken = false;
      await eventually(() => assert.deepEqual(changes, ["fresh", "stale", "fresh"]));
      assert.deepEqual(seen, ["a", "b", "c"]);
    });

    it("stays fresh while nothing is published", async () => {
      const changes: boolean[] = [];
      const follower = other.follow(newTopic(), {
        after: "now",
        staleAfterMs: 1_000,
        signal: ending.signal,
        onGap: fail,
        onMessage: () => fail("no message was expected"),
        onFresh: () => changes.push(true),
        onStale: () => changes.push(false),
      });
      await eventually(() => assert.equal(follower.isFresh(), true));
      await sleep(2_500);
      assert.equal(follower.isFresh(), true);
      assert.deepEqual(changes, [true]);
    });

    it("tells a follower that messages after its position are no longer kept, and goes on", async () => {
      const topic = newTopic(200);
      const first = await bus.publish(topic, message("first"));
      await publishAll(bus, topic, range(1_000));
      const { length } = await bus.status(topic);
      assert.ok(length >= 200 && length <= 400, `keeps ${length}`);
      const events: string[] = [];
      const follower = other.follow(topic, {
        after: first,
        signal: ending.signal,
        onGap: (reason) => void events.push(reason),
        onMessage: ({ operation }) => void events.push(operation),
      });
      await follower.waitFor(await bus.position(topic), Date.now() + 10_000);
      assert.deepEqual(events, ["trimmed", ...range(length, 1_000 - length)]);
      const kept: string[] = [];
      const anew = other.follow(topic, {
        after: "start",
        signal: ending.signal,
        onGap: fail,
        onMessage: ({ operation }) => void kept.push(operation),
      });
      await anew.waitFor(await bus.position(topic), Date.now() + 10_000);
      assert.deepEqual(kept, range(length, 1_000 - length));
    });

    it("takes a message that cannot be decoded for a gap, and for a dead letter", async () => {
      const topic = newTopic();
      const log = openTestLog(store);
      await publishAll(bus, topic, ["a"]);
      await log.append(topic.name, topic.maxLength, Buffer.from([0xff, 0xff]));
      await publishAll(bus, topic, ["b"]);
      await log.close();
      const events: string[] = [];
      other.follow(topic, {
        after: "start",
        signal: ending.signal,
        onGap: (reason) => void events.push(reason),
        onMessage: ({ operation }) => void events.push(operation),
      });
      await eventually(() => assert.deepEqual(events, ["a", "unreadable", "b"]));
      const handled: string[] = [];
      other.consume(topic, {
        group: "workers",
        consumer: "one",
        retryAfterMs: 20,
        maxDeliveries: 2,
        signal: ending.signal,
        handler: ({ operation }) => void handled.push(operation),
      });
      await eventually(async () => {
        const [dead] = await bus.deadLetters.list(topic);
        assert.deepEqual([...(dead?.body ?? [])], [0xff, 0xff]);
        assert.equal(dead?.envelope, undefined);
        assert.deepEqual(handled, ["a", "b"]);
      });
    });

    it("shares messages among the consumers of a group, and gives each group all", async () => {
      const topic = newTopic();
      const handled: Record<string, string[]> = { one: [], two: [], third: [] };
      const consume = (on: Bus, group: string, consumer: string): void => {
        const handler = async ({ operation }: { operation: string }): Promise<void> => {
          await sleep(1);
          handled[consumer]?.push(operation);
        };
        on.consume(topic, { group, consumer, concurrency: 4, signal: ending.signal, handler });
      };
      consume(bus, "workers", "one");
      consume(other, "workers", "two");
      consume(other, "auditors", "third");
      const wanted = range(200);
      await publishAll(bus, topic, wanted);
      await eventually(async () => {
        const { groups } = await bus.status(topic);
        assert.deepEqual(
          groups.map((group) => ({ ...group })),
          [
            { name: "auditors", lag: 0, pending: 0 },
            { name: "workers", lag: 0, pending: 0 },
          ],
        );
      });
      assert.deepEqual([...(handled.one ?? []), ...(handled.two ?? [])].sort(), [...wanted].sort());
      assert.deepEqual(handled.third?.sort(), [...wanted].sort());
    });

    it("keeps the order for a consumer that works on one at a time", async () => {
      const topic = newTopic();
      const handled: string[] = [];
      other.consume(topic, {
        group: "workers",
        consumer: "one",
        signal: ending.signal,
        handler: ({ operation }) => void handled.push(operation),
      });
      await publishAll(bus, topic, range(100));
      await eventually(() => assert.deepEqual(handled, range(100)));
    });

    it("acknowledges only what was done, and delivers again what failed", async () => {
      const topic = newTopic();
      const attempts: number[] = [];
      const ids = new Set<string>();
      const consumer = new AbortController();
      const { closed } = other.consume(topic, {
        group: "workers",
        consumer: "one",
        retryAfterMs: 30,
        signal: consumer.signal,
        handler: async ({ id }, { deliveries }) => {
          attempts.push(deliveries);
          ids.add(id);
          if (deliveries < 3) throw new Error("not yet");
          assert.equal((await bus.status(topic)).groups[0]?.pending, 1);
        },
      });
      await bus.publish(topic, message("a"));
      await eventually(async () => {
        assert.deepEqual(attempts, [1, 2, 3]);
        assert.equal((await bus.status(topic)).groups[0]?.pending, 0);
      });
      assert.equal(ids.size, 1);
      consumer.abort();
      await closed;
      assert.deepEqual(await bus.deadLetters.list(topic), []);
    });

    it("makes a poisonous message a dead letter, replays it to its group alone, and discards it", async () => {
      const topic = newTopic();
      let cured = false;
      const done: string[] = [];
      const others: string[] = [];
      const followed: string[] = [];
      const consume = (group: string, handler: (operation: string) => void): void => {
        const call = ({ operation }: { operation: string }): void => handler(operation);
        other.consume(topic, {
          group,
          consumer: "one",
          retryAfterMs: 20,
          maxDeliveries: 3,
          signal: ending.signal,
          handler: call,
        });
      };
      consume("workers", (operation) => {
        if (operation === "poison" && !cured) throw new Error("cannot digest this");
        done.push(operation);
      });
      consume("auditors", (operation) => void others.push(operation));
      const follower = other.follow(topic, {
        after: "start",
        signal: ending.signal,
        onGap: fail,
        onMessage: ({ operation }) => void followed.push(operation),
      });
      const before = Date.now();
      const position = await bus.publish(topic, message("poison"));
      await bus.publish(topic, message("food"));
      await eventually(async () => {
        const [dead, ...more] = await bus.deadLetters.list(topic);
        assert.deepEqual(more, []);
        assert.equal(dead?.group, "workers");
        assert.equal(dead.position, position);
        assert.equal(dead.error, "Error: cannot digest this");
        assert.equal(dead.deliveries, 3);
        assert.ok(dead.deadAt >= before - 1 && dead.deadAt <= Date.now() + 1);
        assert.equal(dead.envelope?.operation, "poison");
      });
      assert.deepEqual(done, ["food"]);

      cured = true;
      const [dead] = await bus.deadLetters.list(topic);
      const again = await bus.deadLetters.replay(topic, dead?.id ?? "");
      assert.ok(again !== undefined && comparePositions(again, position) > 0);
      assert.equal(await bus.deadLetters.replay(topic, dead?.id ?? ""), undefined);
      await eventually(() => assert.deepEqual(done, ["food", "poison"]));
      await follower.waitFor(again, Date.now() + 10_000);
      await eventually(async () => {
        for (const group of (await bus.status(topic)).groups) assert.deepEqual([group.lag, group.pending], [0, 0]);
      });
      assert.deepEqual(others, ["poison", "food"]);
      assert.deepEqual(followed, ["poison", "food"]);

      cured = false;
      await bus.publish(topic, message("poison"));
      await eventually(async () => assert.equal((await bus.deadLetters.list(topic)).length, 1));
      const [second] = await bus.deadLetters.list(topic);
      assert.equal(await bus.deadLetters.discard(topic, second?.id ?? ""), true);
      assert.equal(await bus.deadLetters.discard(topic, second?.id ?? ""), false);
      assert.deepEqual(await bus.deadLetters.list(topic), []);
    });

    it("fails a handler that takes too long, and tells it", async () => {
      const topic = newTopic();
      let aborted = 0;
      other.consume(topic, {
        group: "workers",
        consumer: "one",
        maxDeliveries: 1,
        handlerTimeoutMs: 50,
        signal: ending.signal,
        handler: async (_, { signal }) => {
          await once(signal, "abort");
          aborted += 1;
          await new Promise(() => undefined);
        },
      });
      await bus.publish(topic, message("slow"));
      await eventually(async () => {
        assert.match((await bus.deadLetters.list(topic))[0]?.error ?? "", /longer than 50 ms/);
        assert.equal(aborted, 1);
      });
    });

    it("does not give to another what a slow consumer still works on", async () => {
      const topic = newTopic();
      const attempts: string[] = [];
      for (const [consumer, on] of [
        ["one", bus],
        ["two", other],
      ] as const) {
        on.consume(topic, {
          group: "workers",
          consumer,
          claimAfterMs: 300,
          signal: ending.signal,
          handler: async ({ operation }) => {
            attempts.push(operation);
            await sleep(1_200);
          },
        });
      }
      await bus.publish(topic, message("long"));
      await eventually(async () => {
        assert.deepEqual(attempts, ["long"]);
        assert.deepEqual(
          (await bus.status(topic)).groups.map(({ pending, lag }) => [pending, lag]),
          [[0, 0]],
        );
      });
    });

    it("gives to another consumer what a killed one had begun", async () => {
      const topic = newTopic();
      const { child, reports } = startChild("hang", topic);
      await bus.publish(topic, message("orphan"));
      await eventually(() => assert.deepEqual(reports, [{ began: "orphan" }]));
      child.kill("SIGKILL");
      await once(child, "exit");
      const handled: [string, number][] = [];
      other.consume(topic, {
        group: "workers",
        consumer: "heir",
        claimAfterMs: 400,
        signal: ending.signal,
        handler: ({ operation }, { deliveries }) => void handled.push([operation, deliveries]),
      });
      await eventually(() => assert.deepEqual(handled, [["orphan", 2]]));
      await eventually(async () => assert.equal((await bus.status(topic)).groups[0]?.pending, 0));
    });

    it("makes a dead letter of what kills its consumers", async () => {
      const topic = newTopic();
      const log = openTestLog(store);
      const member = { topic: topic.name, group: "workers", consumer: "doomed" };
      const reader = log.openReader();
      await bus.publish(topic, message("bomb"));
      assert.equal((await reader.readGroup(member, 1, 100)).length, 1);
      for (const deliveries of [2, 3]) assert.equal((await log.claim(member, 0, 1))[0]?.deliveries, deliveries);
      reader.close();
      await log.close();
      other.consume(topic, {
        group: "workers",
        consumer: "wary",
        maxDeliveries: 3,
        claimAfterMs: 100,
        signal: ending.signal,
        handler: () => assert.fail("delivered once too often"),
      });
      await eventually(async () => {
        assert.match((await bus.deadLetters.list(topic))[0]?.error ?? "", /3 times without an answer/);
      });
    });

    it("keeps what a group has yet to acknowledge, and refuses to publish when that is too much", async () => {
      const topic = newTopic(50);
      const own = new AbortController();
      const held: string[] = [];
      const { closed } = other.consume(topic, {
        group: "workers",
        consumer: "stuck",
        signal: own.signal,
        handlerTimeoutMs: 200,
        maxDeliveries: 100,
        handler: async ({ operation }, { signal }) => {
          held.push(operation);
          await once(signal, "abort");
        },
      });
      await bus.publish(topic, message("m0"));
      await eventually(() => assert.deepEqual(held, ["m0"]));
      own.abort();
      await closed;
      let published = 1;
      const flood = async (): Promise<void> => {
        for (; published < 2_000; published += 1) await bus.publish(topic, message(`m${published}`));
      };
      await assert.rejects(flood(), { code: "RESOURCE_EXHAUSTED", reason: "BUS_FULL" });
      assert.ok(published >= 500 && published <= 700, `refused after ${published}`);
      const handled = new Set<string>();
      other.consume(topic, {
        group: "workers",
        consumer: "able",
        claimAfterMs: 100,
        concurrency: 16,
        signal: ending.signal,
        handler: ({ operation }) => void handled.add(operation),
      });
      await eventually(() => assert.equal(handled.size, published));
      await eventually(() => bus.publish(topic, message("fits again")));
      assert.ok((await bus.status(topic)).length < 300);
    });

    it("lets a stopped follower catch up, which does not think itself fresh before it has", async () => {
      const topic = newTopic();
      const { child, reports } = startChild("follow", topic);
      await publishAll(bus, topic, range(10));
      await eventually(() => assert.equal(reports.filter((report) => "message" in report).length, 10));
      child.kill("SIGSTOP");
      await sleep(200);
      const last = await publishAll(bus, topic, range(100, 10));
      await sleep(2_800);
      child.kill("SIGCONT");
      await eventually(() => {
        const seen = reports.filter((report) => "message" in report).map((report) => report.message);
        assert.deepEqual(seen, range(110));
        assert.ok(reports.some((report) => "woke" in report));
      });
      assert.deepEqual(
        reports.filter((report) => "gap" in report),
        [],
      );
      const woke = reports.find((report) => "woke" in report);
      assert.ok(woke !== undefined);
      assert.ok(woke.fresh === false || woke.position === last, JSON.stringify(woke));
      child.kill("SIGKILL");
    });

    it("takes messages from several processes at once", async () => {
      const topic = newTopic();
      const seen = new Set<string>();
      other.follow(topic, {
        after: "start",
        signal: ending.signal,
        onGap: fail,
        onMessage: ({ operation }) => void seen.add(operation),
      });
      const publishers = [startChild("publish", topic), startChild("publish", topic)];
      const exits = await Promise.all(publishers.map(({ child }) => once(child, "exit")));
      assert.deepEqual(exits, [
        [0, null],
        [0, null],
      ]);
      await eventually(() => assert.equal(seen.size, 400));
    });

    it("refuses messages that are out of bounds", async () => {
      const topic = newTopic();
      await assert.rejects(bus.publish(topic, message("")), { code: "INVALID_ARGUMENT" });
      await assert.rejects(bus.publish(topic, { ...message("a"), service: "x".repeat(65) }), {
        code: "INVALID_ARGUMENT",
      });
      const large = { subject: { case: "user", value: "x".repeat(1_048_577) } } as const;
      await assert.rejects(bus.publish(topic, { ...message("a"), payload: large }), { code: "INVALID_ARGUMENT" });
    });

    it("lets handlers finish when it closes", async () => {
      const topic = newTopic();
      const own = createBus({ log: openTestLog(store) });
      const events: string[] = [];
      own.consume(topic, {
        group: "workers",
        consumer: "one",
        signal: ending.signal,
        handler: async () => {
          events.push("began");
          await sleep(200);
          events.push("ended");
        },
      });
      await bus.publish(topic, message("a"));
      await eventually(() => assert.deepEqual(events, ["began"]));
      await own.close();
      assert.deepEqual(events, ["began", "ended"]);
      assert.equal((await bus.status(topic)).groups[0]?.pending, 0);
    });
  });
}
