import type { DescMessage } from "@bufbuild/protobuf";

/** A named sequence of messages of one type. */
export interface Topic<D extends DescMessage = DescMessage> {
  /** Lower-case words joined by hyphens, at most 64 bytes. */
  readonly name: string;
  /** Type of its payloads. */
  readonly schema: D;
  /**
   * How many messages are kept, give or take a hundred. Messages that a consumer group has not acknowledged are kept beyond
   * that, up to ten times as many; then publishing is refused.
   */
  readonly maxLength: number;
}

/** Checks a topic where it is defined. */
export function defineTopic<D extends DescMessage>(topic: Topic<D>): Topic<D> {
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(topic.name)) throw new TypeError(`Not a name for a topic: ${topic.name}`);
  if (!Number.isSafeInteger(topic.maxLength) || topic.maxLength < 1) {
    throw new RangeError(`The length of topic ${topic.name} must be a whole number from 1.`);
  }
  return topic;
}

/** How many times its length a topic may hold before publishing is refused. */
export const backlogFactor = 10;
