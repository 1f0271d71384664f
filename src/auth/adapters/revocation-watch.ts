import type { DescMessage } from "@bufbuild/protobuf";
import type { Bus } from "../../shared/bus/bus.ts";
import type { Message } from "../../shared/bus/message.ts";
import type { Topic } from "../../shared/bus/topic.ts";
import { revocationsNotKept, revocationsUnconfirmed, watcherTooSlow } from "../errors.ts";

/** Messages that wait for a watcher; beyond, the topic is not read on. */
const maxWaiting = 256;
const defaultPatienceMs = 10_000;

/**
 * Answers the messages of a topic after a position, as fast as they are taken, until aborted.
 *
 * @param patienceMs Ends the watch when it takes nothing for so long while messages wait, or when the feed is not confirmed
 *   for so long.
 * @throws ServiceError OUT_OF_RANGE when messages after the position are not kept; RESOURCE_EXHAUSTED when they are taken too
 *   slowly; UNAVAILABLE when the feed is lost.
 */
export async function* watchTopic<D extends DescMessage>(
  bus: Bus,
  topic: Topic<D>,
  after: string,
  signal: AbortSignal,
  patienceMs: number = defaultPatienceMs,
): AsyncGenerator<Message<D>> {
  const ending = new AbortController();
  const waiting: Message<D>[] = [];
  let failure: Error | undefined;
  let onChange: () => void = () => undefined;
  let onRoom: () => void = () => undefined;

  function end(error?: Error): void {
    failure ??= error;
    ending.abort();
    onChange();
    onRoom();
  }
  const onAbort = (): void => end();
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) end();

  const follower = bus.follow(topic, {
    after,
    signal: ending.signal,
    staleAfterMs: patienceMs,
    async onMessage(message) {
      if (waiting.length >= maxWaiting) await new Promise<void>((resolve) => (onRoom = resolve));
      waiting.push(message);
      onChange();
    },
    onGap: () => end(revocationsNotKept()),
    onStale: () => end(waiting.length > 0 ? watcherTooSlow() : revocationsUnconfirmed()),
  });
  const lost = (): void => end(revocationsUnconfirmed());
  follower.closed.then(lost, lost);
  const timer = setTimeout(() => {
    if (!follower.isFresh()) lost();
  }, patienceMs);

  try {
    while (failure === undefined && !signal.aborted) {
      const message = waiting.shift();
      if (message !== undefined) {
        onRoom();
        yield message;
      } else {
        await new Promise<void>((resolve) => (onChange = resolve));
      }
    }
    if (failure !== undefined) throw failure;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    end();
    await follower.closed;
  }
}
