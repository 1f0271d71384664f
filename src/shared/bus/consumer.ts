import type { DescMessage } from "@bufbuild/protobuf";
import { ServiceError } from "../service-error.ts";
import type { Delivery, GroupMember, Log } from "./log.ts";
import { decodeMessage, type Message } from "./message.ts";
import type { BusObserver } from "./metrics.ts";
import { backOff, pause, untilDone } from "./retry.ts";
import type { Topic } from "./topic.ts";

export interface ConsumeOptions<D extends DescMessage> {
  /** Group that shares the work: each message goes to one of its consumers. 1 to 64 of `a-z 0-9 . _ -`. */
  readonly group: string;
  /** Name of this consumer, unique in its group, for example the pod's name. 1 to 128 bytes. */
  readonly consumer: string;
  /**
   * Does the work. Returning acknowledges the message; throwing has it delivered again later, perhaps to another consumer.
   * A message may come more than once: recognize it by its `id`. The signal is aborted when the handler's time is up.
   */
  readonly handler: (
    message: Message<D>,
    delivery: { readonly deliveries: number; readonly signal: AbortSignal },
  ) => void | Promise<void>;
  /** Handlers at work at once. 1 keeps the order of messages as long as none fails. Default: 1. */
  readonly concurrency?: number;
  /** Deliveries after which a message becomes a dead letter. Default: 5. */
  readonly maxDeliveries?: number;
  /** After how long a message of a consumer that has fallen silent goes to another, in milliseconds. Default: 30,000. */
  readonly claimAfterMs?: number;
  /** Wait before a message that failed is delivered again, doubling each time up to `claimAfterMs`. Default: 1,000. */
  readonly retryAfterMs?: number;
  /** How long a handler may take, in milliseconds; beyond, it has failed. Default: 30,000. */
  readonly handlerTimeoutMs?: number;
  /** Ends the consuming: no new messages; handlers at work may finish. */
  readonly signal: AbortSignal;
}

export interface Consumer {
  /** Resolves when the consuming has ended and every handler has. */
  readonly closed: Promise<void>;
}

const maxRetryMs = 1_000;
const statusEveryMs = 5_000;

/** Consumes a topic as a member of a group. See ConsumeOptions. */
export function createConsumer<D extends DescMessage>(
  log: Log,
  observer: BusObserver,
  topic: Topic<D>,
  options: ConsumeOptions<D>,
): Consumer {
  const { signal, handler } = options;
  const {
    concurrency = 1,
    maxDeliveries = 5,
    claimAfterMs = 30_000,
    retryAfterMs = 1_000,
    handlerTimeoutMs = 30_000,
  } = options;
  if (!/^[a-z0-9._-]{1,64}$/.test(options.group))
    throw new TypeError(`Not a name for a consumer group: ${options.group}`);
  const member: GroupMember = { topic: topic.name, group: options.group, consumer: options.consumer };
  const claimEveryMs = Math.max(20, Math.min(1_000, retryAfterMs / 2, claimAfterMs / 4));
  const working = new Map<string, Promise<void>>();
  const failed = (error: unknown): void => observer.failed?.(topic.name, error);
  // What a handler has done is recorded even while the consumer is ending, if the store answers in time.
  const retry = { signal, maxWaitMs: maxRetryMs, onError: failed };
  let slotFreed: () => void = () => undefined;

  async function work(delivery: Delivery): Promise<void> {
    const { position, deliveries } = delivery;
    if (delivery.target !== undefined && delivery.target !== member.group)
      return await settle(() => log.acknowledge(member, position));
    if (deliveries > maxDeliveries) {
      return await bury(delivery, `Delivered ${deliveries - 1} times without an answer.`);
    }
    const started = performance.now();
    const error = await attempt(delivery);
    observer.handled?.(topic.name, member.group, performance.now() - started, error === undefined);
    if (error === undefined) return await settle(() => log.acknowledge(member, position));
    failed(error);
    if (deliveries >= maxDeliveries) return await bury(delivery, describe(error));
    const delayMs = Math.min(claimAfterMs, retryAfterMs * 2 ** (deliveries - 1));
    await settle(() => log.touch(member, [position], claimAfterMs - delayMs));
  }

  /** Runs the handler within its time; answers what it failed with. */
  async function attempt(delivery: Delivery): Promise<unknown> {
    const expiry = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    try {
      const message = decodeMessage(topic, delivery.position, delivery.body);
      const expired = new Promise<never>((_, reject) => {
        timer = setTimeout(() => {
          const error = new Error(`The handler took longer than ${handlerTimeoutMs} ms.`);
          reject(error);
          expiry.abort(error);
        }, handlerTimeoutMs);
      });
      const done = (async () => handler(message, { deliveries: delivery.deliveries, signal: expiry.signal }))();
      await Promise.race([done, expired]);
      return undefined;
    } catch (error) {
      return error ?? new Error("The handler failed without an error.");
    } finally {
      clearTimeout(timer);
    }
  }

  async function bury(delivery: Delivery, error: string): Promise<void> {
    try {
      await log.bury(member, delivery, error);
      observer.deadLettered?.(topic.name, member.group);
    } catch (cause) {
      failed(cause);
      // It stays pending and comes again: never lost, and not in a hot loop.
      if (!(cause instanceof ServiceError && cause.reason === "BUS_DEAD_LETTERS_FULL")) return;
      await settle(() => log.touch(member, [delivery.position], 0));
    }
  }

  /** Repeats until it succeeds. While ending it is tried once: what was not recorded is delivered again, to somebody. */
  async function settle(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      failed(error);
      await backOff(1, maxRetryMs, signal);
      await untilDone(step, retry);
    }
  }

  function start(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) {
      // Claimed from ourselves, when a lease could not be renewed in time: it is being worked on.
      if (working.has(delivery.position)) continue;
      const job = work(delivery).finally(() => {
        working.delete(delivery.position);
        slotFreed();
      });
      working.set(delivery.position, job);
    }
  }

  async function slot(): Promise<void> {
    while (working.size >= concurrency && !signal.aborted) {
      await new Promise<void>((resolve) => {
        slotFreed = resolve;
      });
    }
  }

  async function run(): Promise<void> {
    const reader = log.openReader();
    const stop = (): void => {
      reader.close();
      slotFreed();
    };
    signal.addEventListener("abort", stop, { once: true });
    let claimAt = 0;
    for (let failures = 0; !signal.aborted; ) {
      try {
        await slot();
        if (signal.aborted) break;
        if (performance.now() >= claimAt) {
          start(await log.claim(member, claimAfterMs, concurrency - working.size));
          claimAt = performance.now() + claimEveryMs;
        } else {
          const waitMs = Math.max(1, Math.min(1_000, Math.ceil(claimAt - performance.now())));
          start(await reader.readGroup(member, concurrency - working.size, waitMs));
        }
        failures = 0;
      } catch (error) {
        if (signal.aborted) break;
        failures += 1;
        failed(error);
        await backOff(failures, maxRetryMs, signal);
      }
    }
  }

  /** Keeps what is being worked on from being claimed by others, and tells how the group fares. */
  async function attend(): Promise<void> {
    let statusAt = 0;
    while (!signal.aborted) {
      await pause(Math.min(claimAfterMs / 3, statusEveryMs), signal);
      try {
        if (working.size > 0) await log.touch(member, [...working.keys()], 0);
        if (observer.group === undefined || performance.now() < statusAt) continue;
        statusAt = performance.now() + statusEveryMs;
        const status = (await log.status(topic.name)).groups.find(({ name }) => name === member.group);
        if (status !== undefined) observer.group(topic.name, member.group, status.lag, status.pending);
      } catch (error) {
        failed(error);
      }
    }
  }

  const closed = Promise.all([run(), attend()]).then(async () => {
    await Promise.all(working.values());
  });
  return { closed };
}

/** An error in a line for an operator, bounded. */
function describe(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text.slice(0, 1_024);
}
