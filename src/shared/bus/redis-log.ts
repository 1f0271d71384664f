import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster, Redis } from "ioredis";
import { ServiceError } from "../service-error.ts";
import type { RedisScript } from "../store/redis-script.ts";
import {
  type DeadEntry,
  type Delivery,
  deadLettersFull,
  type GroupMember,
  type Log,
  type LogEntry,
  type LogReader,
  maxDeadLetters,
  topicFull,
  unavailable,
} from "./log.ts";
import { origin } from "./position.ts";
import { appendScript, buryScript, claimScript, replayScript, statusScript, touchScript } from "./redis-scripts.ts";
import { backlogFactor } from "./topic.ts";

export type RedisConnection = Redis | Cluster;

export interface RedisLogOptions {
  /**
   * Opens a connection. `commands`: reconnects by itself, fails commands at once while it is down and after a bounded time
   * otherwise. `blocking`: is used for one blocking read at a time, each of a second at most, and ends when it breaks.
   */
  readonly connect: (use: "commands" | "blocking") => RedisConnection;
  /** Begins every key. Default: `gatehouse`. */
  readonly prefix?: string;
  /** How long the first command may wait for the first connection, in milliseconds. Default: 1,000. */
  readonly connectTimeoutMs?: number;
}

type Argument = string | number | Buffer;

/**
 * Topics as Redis Streams (Redis 7 or newer, alone, behind Sentinel or in a cluster): `<prefix>:{bus:<topic>}:stream`, and
 * `…:dead` for dead letters. One slot a topic, so that each step is one script.
 */
export function createRedisLog(options: RedisLogOptions): Log {
  const { connect, prefix = "gatehouse", connectTimeoutMs = 1_000 } = options;
  const streamKey = (topic: string): string => `${prefix}:{bus:${topic}}:stream`;
  const deadKey = (topic: string): string => `${prefix}:{bus:${topic}}:dead`;

  const commands = connect("commands");
  commands.on("error", () => undefined);
  let wasReady = false;
  const firstConnection = new Promise<void>((resolve) => {
    commands.once("ready", () => {
      wasReady = true;
      resolve();
    });
  });

  /** Lets commands wait for the first connection; afterwards they fail at once while there is none. */
  async function call(command: string, ...args: Argument[]): Promise<unknown> {
    try {
      if (!wasReady) await Promise.race([firstConnection, sleep(connectTimeoutMs, undefined, { ref: false })]);
      return await commands.callBuffer(command, args);
    } catch (error) {
      throw translate(error);
    }
  }

  async function run(script: RedisScript, keys: string[], args: Argument[]): Promise<unknown> {
    try {
      return await call("EVALSHA", script.sha, keys.length, ...keys, ...args);
    } catch (error) {
      if (!isRefusal(error, "NOSCRIPT")) throw error;
      return await call("EVAL", script.lua, keys.length, ...keys, ...args);
    }
  }

  /** Creates the group when it is missing, as it is at first and after the store has lost it. */
  async function inGroup<T>({ topic, group }: GroupMember, step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      if (!isRefusal(error, "NOGROUP")) throw error;
    }
    try {
      await call("XGROUP", "CREATE", streamKey(topic), group, origin, "MKSTREAM");
    } catch (error) {
      if (!isRefusal(error, "BUSYGROUP")) throw error;
    }
    return await step();
  }

  const both = (topic: string): string[] => [streamKey(topic), deadKey(topic)];

  function openReader(): LogReader {
    let connection: RedisConnection | undefined;
    let closed = false;
    let abandon: (reason: Error) => void = () => undefined;

    async function ask(command: string, ...args: Argument[]): Promise<unknown> {
      if (closed) throw unavailable(new Error("The reader is closed."));
      if (connection === undefined) {
        connection = connect("blocking");
        connection.on("error", () => undefined);
      }
      const answer = connection.callBuffer(command, args);
      try {
        return await new Promise((resolve, reject) => {
          abandon = reject;
          answer.then(resolve, reject);
        });
      } catch (error) {
        // Whatever else it is, for example a primary that has become a replica: another connection may find better.
        if (!isRefusal(error, "NOGROUP")) {
          connection?.disconnect();
          connection = undefined;
        }
        throw translate(error);
      }
    }

    return {
      async last(topic) {
        const entries = toEntries(await ask("XREVRANGE", streamKey(topic), "+", "-", "COUNT", 1));
        return entries[0]?.position ?? origin;
      },
      async read(topic, after, limit, waitMs) {
        const asked = performance.now();
        const reply = await ask("XREAD", "COUNT", limit, "BLOCK", waitMs, "STREAMS", streamKey(topic), after);
        const entries = toEntries(firstStream(reply));
        if (entries.length >= limit) return { entries, asOf: undefined };
        // Redis says that there is nothing only once it has waited.
        const asOf = entries.length > 0 ? asked : Math.min(asked + waitMs, performance.now());
        return { entries, asOf };
      },
      async readGroup(member, limit, waitMs) {
        const { topic, group, consumer } = member;
        const rest = ["COUNT", limit, "BLOCK", waitMs, "STREAMS", streamKey(topic), ">"];
        const reply = await inGroup(member, () => ask("XREADGROUP", "GROUP", group, consumer, ...rest));
        return toEntries(firstStream(reply)).map((entry) => ({ ...entry, deliveries: 1 }));
      },
      close() {
        closed = true;
        connection?.disconnect();
        // A cluster's connection leaves commands that wait for a node without an answer.
        abandon(new Error("The reader is closed."));
      },
    };
  }

  async function append(topic: string, maxLength: number, body: Uint8Array): Promise<string> {
    const args = [toBuffer(body), maxLength, maxLength * backlogFactor + 100];
    return String(await run(appendScript, [streamKey(topic)], args));
  }

  return {
    openReader,
    append,
    async appendAll(topic, maxLength, bodies) {
      const [first, ...others] = bodies;
      if (first === undefined) return;
      // The first alone, so that the script is known when the others go out together, in their order.
      await append(topic, maxLength, first);
      await Promise.all(others.map((body) => append(topic, maxLength, body)));
    },
    async last(topic) {
      return toEntries(await call("XREVRANGE", streamKey(topic), "+", "-", "COUNT", 1))[0]?.position ?? origin;
    },
    async claim(member, idleMs, limit) {
      const args = [member.group, member.consumer, Math.ceil(idleMs), limit];
      const reply = await inGroup(member, () => run(claimScript, both(member.topic), args));
      return (reply as [Buffer, Buffer[], number][]).map(
        ([id, fields, deliveries]): Delivery => ({ ...toEntry([id, fields]), deliveries }),
      );
    },
    async acknowledge({ topic, group }, position) {
      await call("XACK", streamKey(topic), group, position);
    },
    async touch({ topic, group, consumer }, positions, idleMs) {
      await run(touchScript, [streamKey(topic)], [group, consumer, Math.max(0, Math.floor(idleMs)), ...positions]);
    },
    async bury({ topic, group }, { position, body, deliveries }, error) {
      await run(buryScript, both(topic), [group, position, toBuffer(body), error, deliveries, maxDeadLetters]);
    },
    async listDead(topic, after, limit) {
      const reply = await call("XRANGE", deadKey(topic), `(${after}`, "+", "COUNT", limit);
      return (reply as [Buffer, Buffer[]][]).map((entry) => toDead(topic, entry));
    },
    async replayDead(topic, id) {
      const position = await run(replayScript, both(topic), [id]);
      return position === null ? undefined : String(position);
    },
    async discardDead(topic, id) {
      return (await call("XDEL", deadKey(topic), id)) === 1;
    },
    async status(topic) {
      const reply = await run(statusScript, both(topic), []);
      const [length, last, groups, deadLetters] = reply as [number, Buffer, [Buffer, number, number][], number];
      return {
        length,
        last: String(last),
        groups: groups.map(([name, lag, pending]) => ({ name: String(name), lag: lag < 0 ? undefined : lag, pending })),
        deadLetters,
      };
    },
    async close() {
      commands.disconnect();
    },
  };
}

/** Whether Redis refused with this code. */
function isRefusal(error: unknown, code: string): boolean {
  const cause = error instanceof ServiceError ? error.cause : error;
  return cause instanceof Error && cause.message.startsWith(`${code} `);
}

function translate(error: unknown): ServiceError {
  if (isRefusal(error, "BUSFULL")) return topicFull();
  if (isRefusal(error, "BUSDEADFULL")) return deadLettersFull();
  return unavailable(error);
}

/** XREAD answers `[[key, entries]]` in RESP2 and `[key, entries]` in RESP3, null when there is nothing. */
function firstStream(reply: unknown): unknown {
  if (!Array.isArray(reply)) return [];
  const [first, second] = reply as [unknown, unknown];
  return Array.isArray(first) ? first[1] : second;
}

function toEntries(reply: unknown): LogEntry[] {
  return (reply as [Buffer, Buffer[]][]).map(toEntry);
}

function toEntry([id, fields]: [Buffer, Buffer[]]): LogEntry {
  const values = toFields(fields);
  const previous = values.get("p");
  return {
    position: String(id),
    // An entry that somebody else wrote says nothing of what was before it: a follower takes that for a gap.
    previous: previous === undefined ? String(id) : String(previous),
    target: values.get("g")?.toString(),
    body: values.get("m") ?? new Uint8Array(),
  };
}

function toDead(topic: string, [id, fields]: [Buffer, Buffer[]]): DeadEntry {
  const values = toFields(fields);
  const text = (name: string): string => values.get(name)?.toString() ?? "";
  return {
    id: String(id),
    topic,
    group: text("g"),
    position: text("o"),
    body: values.get("m") ?? new Uint8Array(),
    error: text("e"),
    deliveries: Number(text("n")),
    deadAt: Number(text("t")),
  };
}

function toFields(fields: Buffer[]): Map<string, Buffer> {
  const values = new Map<string, Buffer>();
  for (let i = 0; i + 1 < fields.length; i += 2) values.set(String(fields[i]), fields[i + 1] as Buffer);
  return values;
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
