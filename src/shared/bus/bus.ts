import type { DescMessage } from "@bufbuild/protobuf";
import { type ConsumeOptions, type Consumer, createConsumer } from "./consumer.ts";
import { createDeadLetters, type DeadLetters } from "./dead-letters.ts";
import { createFollower, type Follower, type FollowOptions } from "./follower.ts";
import type { Log, TopicStatus } from "./log.ts";
import { encodeMessage, type Outgoing } from "./message.ts";
import type { BusObserver } from "./metrics.ts";
import type { Position } from "./position.ts";
import type { Topic } from "./topic.ts";

/** Carries messages between replicas and services. Delivers each at least once, in the order of positions. */
export interface Bus {
  /**
   * Appends a message. Once this resolves the store has it, and every follower and group will see it.
   *
   * @throws ServiceError UNAVAILABLE (BUS_UNAVAILABLE) at once while the store is away, and after a second when it does not
   *   answer: the message may then have been published all the same. RESOURCE_EXHAUSTED (BUS_FULL) when a consumer group has
   *   fallen too far behind. INVALID_ARGUMENT when the message is out of bounds.
   */
  publish<D extends DescMessage>(topic: Topic<D>, message: Outgoing<D>): Promise<Position>;
  /**
   * Appends several messages in their order, at the cost of little more than one. When it throws, as `publish` does, some
   * may have been published: give them identifiers, and publish all again.
   */
  publishAll<D extends DescMessage>(topic: Topic<D>, messages: readonly Outgoing<D>[]): Promise<void>;
  /** Position of the topic's last message: read it, then load a snapshot, then follow after it, and nothing is missed. */
  position(topic: Topic): Promise<Position>;
  /** Reads every message of a topic, as each replica does for itself. */
  follow<D extends DescMessage>(topic: Topic<D>, options: FollowOptions<D>): Follower;
  /** Shares the messages of a topic with the other consumers of a group. A new group begins with the oldest kept message. */
  consume<D extends DescMessage>(topic: Topic<D>, options: ConsumeOptions<D>): Consumer;
  readonly deadLetters: DeadLetters;
  status(topic: Topic): Promise<TopicStatus>;
  /** Ends every follower and consumer, lets handlers finish, and closes connections. */
  close(): Promise<void>;
}

export interface BusOptions {
  readonly log: Log;
  readonly observer?: BusObserver;
  /** The wall clock, in milliseconds since the epoch. Default: `Date.now`. */
  readonly now?: () => number;
}

export function createBus({ log, observer = {}, now = Date.now }: BusOptions): Bus {
  const ending = new AbortController();
  const running = new Set<Promise<void>>();

  function keep<T extends { readonly closed: Promise<void> }>(part: T): T {
    running.add(part.closed);
    const forget = (): void => void running.delete(part.closed);
    part.closed.then(forget, forget);
    return part;
  }

  const until = (signal: AbortSignal): AbortSignal => AbortSignal.any([signal, ending.signal]);

  /** Tells the observer of `count` messages published together. */
  async function observed<T>(topic: string, count: number, append: () => Promise<T>): Promise<T> {
    const started = performance.now();
    let ok = false;
    try {
      const result = await append();
      ok = true;
      return result;
    } finally {
      observer.published?.(topic, performance.now() - started, ok, count);
    }
  }

  return {
    async publish(topic, message) {
      const body = encodeMessage(topic, message, now());
      return await observed(topic.name, 1, () => log.append(topic.name, topic.maxLength, body));
    },
    async publishAll(topic, messages) {
      const bodies = messages.map((message) => encodeMessage(topic, message, now()));
      await observed(topic.name, bodies.length, () => log.appendAll(topic.name, topic.maxLength, bodies));
    },
    position: (topic) => log.last(topic.name),
    follow: (topic, options) =>
      keep(createFollower(log, observer, topic, { ...options, signal: until(options.signal) })),
    consume: (topic, options) =>
      keep(createConsumer(log, observer, topic, { ...options, signal: until(options.signal) })),
    deadLetters: createDeadLetters(log),
    status: (topic) => log.status(topic.name),
    async close() {
      ending.abort();
      await Promise.allSettled(running);
      await log.close();
    },
  };
}
