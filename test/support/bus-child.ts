/**
 * A process of its own on the bus, for tests that stop or kill it: `bus-child.ts <store> follow|hang|publish <topic>`, where the
 * store is a SQLite file, a `redis://` address or a `redis+cluster://` one. Reports one JSON object a line.
 */
import { RevocationSchema } from "../../gen/gatehouse/bus/v1/topics_pb.ts";
import { createBus } from "../../src/shared/bus/bus.ts";
import { defineTopic } from "../../src/shared/bus/topic.ts";
import { openTestLog } from "./bus-store.ts";

const [store = "", role = "", name = ""] = process.argv.slice(2);
const topic = defineTopic({ name, schema: RevocationSchema, maxLength: 1_000 });
const bus = createBus({ log: openTestLog(store) });
const signal = new AbortController().signal;

function report(event: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

if (role === "follow") {
  const follower = bus.follow(topic, {
    after: "start",
    staleAfterMs: 1_000,
    signal,
    onMessage: ({ operation }) => report({ message: operation }),
    onGap: (gap) => report({ gap }),
    onFresh: () => report({ fresh: true }),
    onStale: () => report({ fresh: false }),
  });
  let tick = performance.now();
  setInterval(() => {
    const now = performance.now();
    if (now - tick > 1_500) report({ woke: true, fresh: follower.isFresh(), position: follower.position });
    tick = now;
  }, 5);
} else if (role === "hang") {
  bus.consume(topic, {
    group: "workers",
    consumer: "child",
    claimAfterMs: 400,
    signal,
    handler: async ({ operation }) => {
      report({ began: operation });
      await new Promise(() => undefined);
    },
  });
} else if (role === "publish") {
  for (let i = 0; i < 200; i += 1) {
    const payload = { subject: { case: "tokenId", value: `${process.pid}-${i}` } } as const;
    await bus.publish(topic, { service: "test", operation: `${process.pid}-${i}`, payload });
  }
  await bus.close();
}
