import { Agent, type OutgoingHttpHeaders, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import type { Seen } from "./workload.ts";

/** What a caller got. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
  /** What the workload saw, when it was reached. */
  readonly seen: Seen | undefined;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string;
}

/** Sends requests as they are written: `fetch` would tidy up paths and refuse some headers. */
export interface Caller {
  ask(path: string, ask?: Ask): Promise<Answer>;
  close(): void;
}

export function createCaller(port: number): Caller {
  const agent = new Agent({ keepAlive: true, maxSockets: 50 });
  return {
    ask: (path, { method = "GET", headers = {}, body } = {}) =>
      new Promise((resolve, reject) => {
        const outgoing = request(
          { host: "127.0.0.1", port, path, method, headers, agent, timeout: 10_000 },
          (response) => {
            let text = "";
            response.setEncoding("utf8").on("data", (chunk: string) => {
              text += chunk;
            });
            response.on("end", () => {
              const status = response.statusCode ?? 0;
              const seen = status === 200 && text.startsWith('{"method"') ? (JSON.parse(text) as Seen) : undefined;
              resolve({ status, headers: response.headers, body: text, seen });
            });
            response.on("error", reject);
          },
        );
        outgoing.on("timeout", () => outgoing.destroy(new Error("no answer within 10 s")));
        outgoing.on("error", reject);
        outgoing.end(body);
      }),
    close: () => agent.destroy(),
  };
}

const identity = (bytes: Buffer): Buffer => bytes;

/** What a gRPC caller got. */
export interface GrpcAnswer {
  /** gRPC status code. */
  readonly code: number;
  readonly message: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly seen: Seen | undefined;
}

/** Calls the workload's gRPC method, or another, with a message of any bytes. */
export async function callGrpc(
  port: number,
  headers: Readonly<Record<string, string>>,
  message = "a message",
  path = "/demo.documents.v1.Documents/Get",
): Promise<GrpcAnswer> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  try {
    return await new Promise((resolve) => {
      client.makeUnaryRequest(
        path,
        identity,
        identity,
        Buffer.from(message),
        metadata,
        { deadline: Date.now() + 10_000 },
        (error: ServiceError | null, bytes?: Buffer) =>
          resolve({
            code: error?.code ?? 0,
            message: error?.details ?? "",
            metadata: error?.metadata.getMap() ?? {},
            seen: bytes === undefined ? undefined : (JSON.parse(bytes.toString()) as Seen),
          }),
      );
    });
  } finally {
    client.close();
  }
}

/** Steady traffic and what came of it. */
export interface Load {
  /** Answers by status; 0 is none at all. */
  readonly statuses: Readonly<Record<number, number>>;
  readonly sent: number;
  /** The first answers of each status, to tell what went wrong. */
  readonly examples: Readonly<Record<number, string>>;
  /** Sends nothing more, and waits for what is in flight. */
  stop(): Promise<void>;
}

/** Asks at a steady rate, whether answers come or not. */
export function startLoad(
  perSecond: number,
  ask: () => Promise<{ readonly status: number; readonly body?: string }>,
): Load {
  const statuses: Record<number, number> = {};
  const examples: Record<number, string> = {};
  const inFlight = new Set<Promise<void>>();
  let sent = 0;
  let stopped = false;
  const began = performance.now();
  const pacing = (async () => {
    while (!stopped) {
      const due = Math.floor(((performance.now() - began) * perSecond) / 1_000);
      for (; sent < due; sent += 1) {
        const answer = ask().catch((error: Error) => ({ status: 0, body: error.message }));
        const counted = answer.then(({ status, body = "" }) => {
          statuses[status] = (statuses[status] ?? 0) + 1;
          examples[status] ??= body;
          inFlight.delete(counted);
        });
        inFlight.add(counted);
      }
      await sleep(5);
    }
  })();
  return {
    statuses,
    examples,
    get sent() {
      return sent;
    },
    async stop() {
      stopped = true;
      await pacing;
      await Promise.all(inFlight);
    },
  };
}
