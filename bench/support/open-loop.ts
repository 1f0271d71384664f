/**
 * An open-loop load generator: sends requests over one HTTP/2 connection at a fixed rate, whether answers come or not, and
 * tells how long each took. A process of its own, so that it measures nobody's work but the servers'.
 */
import { once } from "node:events";
import { connect } from "node:http2";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

/** What to send. */
export interface OpenLoop {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly requestsPerSecond: number;
  readonly seconds: number;
}

/** What came of it. */
export interface OpenLoopResult {
  /** Milliseconds from sending to the end of the answer, of each request that was answered with 200. */
  readonly latenciesMs: readonly number[];
  /** Requests that were answered otherwise, or not at all. */
  readonly failed: number;
  /** Longest time that the generator itself was late to send, in milliseconds. */
  readonly worstLatenessMs: number;
}

async function run({ port, path, headers, requestsPerSecond, seconds }: OpenLoop): Promise<OpenLoopResult> {
  const session = connect(`http://127.0.0.1:${port}`);
  await once(session, "connect");
  const total = requestsPerSecond * seconds;
  const latenciesMs: number[] = [];
  const inFlight: Promise<unknown>[] = [];
  let failed = 0;
  let worstLatenessMs = 0;

  async function send(): Promise<void> {
    const sent = performance.now();
    try {
      const stream = session.request({ ":path": path, ...headers });
      let status = 0;
      stream.on("response", (response) => {
        status = Number(response[":status"]);
      });
      stream.resume();
      await once(stream, "close");
      if (status === 200) latenciesMs.push(performance.now() - sent);
      else failed += 1;
    } catch {
      failed += 1;
    }
  }

  const began = performance.now();
  for (let count = 0; count < total; ) {
    const dueMs = (count * 1_000) / requestsPerSecond;
    const lateMs = performance.now() - began - dueMs;
    if (lateMs < 0) {
      await sleep(1);
      continue;
    }
    worstLatenessMs = Math.max(worstLatenessMs, lateMs);
    inFlight.push(send());
    count += 1;
  }
  await Promise.all(inFlight);
  session.close();
  return { latenciesMs, failed, worstLatenessMs };
}

if (import.meta.main) process.stdout.write(JSON.stringify(await run(JSON.parse(await text(process.stdin)))));
