import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Logger } from "pino";
import type { RevocationSchema } from "../../../gen/gatehouse/bus/v1/topics_pb.ts";
import type { Bus } from "../../shared/bus/bus.ts";
import type { Follower } from "../../shared/bus/follower.ts";
import type { Message } from "../../shared/bus/message.ts";
import type { GapReason } from "../../shared/bus/metrics.ts";
import { parsePosition } from "../../shared/bus/position.ts";
import { revocations as topic } from "../../shared/bus/topics.ts";
import { fromRevocationMessage, toRevocationMessage } from "../convert-revocations.ts";
import type { AnnouncedRevocation, RevocationFeed } from "../domain/revocation-feed.ts";
import { revocationsUnconfirmed, tooManyWaiters, tooManyWatchers } from "../errors.ts";
import { watchTopic } from "./revocation-watch.ts";

export interface BusRevocationFeedOptions {
  readonly bus: Bus;
  /** How long tokens can outlive the revocation of their user or client, in milliseconds. */
  readonly retentionMs: number;
  /** Forgets what a revocation concerns, or everything when it is undefined. */
  readonly forget: (announced: AnnouncedRevocation | undefined) => void;
  readonly onGap?: (reason: GapReason) => void;
  readonly logger: Logger;
}

/** Streams of revocations that a replica serves at once; each is a connection to the store. */
const maxWatchers = 64;
/** Calls that wait for a position at once: anybody may, and they must not fill the places of those that do work. */
const maxWaiters = 100;

/** Announces revocations on the bus, and follows those of all replicas. */
export function createBusRevocationFeed(options: BusRevocationFeedOptions): RevocationFeed {
  const { bus, retentionMs, forget, onGap, logger } = options;
  const ending = new AbortController();
  let follower: Follower | undefined;
  let watchers = 0;
  let waiters = 0;

  return {
    get position() {
      return follower?.position;
    },
    get watchers() {
      return watchers;
    },
    announce: (begun) =>
      bus.publish(topic, {
        service: "auth-service",
        operation: "revoke",
        payload: toRevocationMessage(begun, retentionMs),
        id: begun.id,
      }),
    isFresh: () => follower?.isFresh() ?? false,
    async waitFor(position, deadline) {
      if (follower === undefined) throw revocationsUnconfirmed();
      if (waiters >= maxWaiters) throw tooManyWaiters();
      waiters += 1;
      try {
        await follower.waitFor(position, deadline);
        return follower.position ?? position;
      } finally {
        waiters -= 1;
      }
    },
    async *watch(after, signal) {
      if (watchers >= maxWatchers) throw tooManyWatchers();
      watchers += 1;
      try {
        const position = after === "" ? await bus.position(topic) : parsePosition(after);
        yield { position };
        for await (const message of watchTopic(bus, topic, position, signal)) yield toAnnounced(message);
      } finally {
        watchers -= 1;
      }
    },
    start() {
      follower ??= bus.follow(topic, {
        after: "now",
        signal: ending.signal,
        onMessage: (message) => forget(toAnnounced(message)),
        onGap(reason) {
          logger.warn({ reason }, "revocations were missed: everything that was remembered is forgotten");
          onGap?.(reason);
          forget(undefined);
        },
        onStale: () => logger.warn("revocations cannot be followed: the store is asked about everything"),
        onFresh: () => logger.info("revocations are followed"),
      });
    },
    async close() {
      ending.abort();
      await follower?.closed;
    },
  };
}

function toAnnounced({ payload, position, timestamp }: Message<typeof RevocationSchema>): AnnouncedRevocation {
  const { revokeTime } = payload;
  return {
    position,
    time: revokeTime === undefined ? timestamp : timestampMs(revokeTime),
    revocation: fromRevocationMessage(payload),
  };
}
