/**
 * The load generator, a process of its own: takes one `LoadJob` as JSON on its command line, makes calls at a steady rate
 * whatever becomes of them, and prints a `LoadResult`.
 *
 * A call's latency counts from when it was due, not from when it was sent: neither a server nor a generator that stalls hides
 * the calls that would have been made meanwhile (no coordinated omission). It polls instead of sleeping, for a timer of Node
 * is a millisecond late.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { LoadJob, LoadResult } from "./job.ts";
import { OpenLoopClient } from "./open-loop-client.ts";
import { Outcomes } from "./outcomes.ts";

async function run(job: LoadJob): Promise<LoadResult> {
  const { rate, warmUpSeconds, seconds, deadlineMs } = job;
  const total = Math.round(rate * (warmUpSeconds + seconds));
  const outcomes = new Outcomes(total, Math.round(rate * warmUpSeconds), deadlineMs);
  const options = {
    ...job,
    host: "127.0.0.1",
    headers: [["grpc-timeout", `${deadlineMs}m`]] as const,
    message: Buffer.from(job.message, "base64"),
  };
  const clients = Array.from({ length: job.clients }, () => new OpenLoopClient(options, outcomes));
  // For the connections to be made and the server's settings to arrive.
  await sleep(200);

  const startMs = performance.now() + 1;
  let next = 0;
  await new Promise<void>((resolve) => {
    const turn = (): void => {
      const now = performance.now();
      for (; next < total && startMs + (next * 1_000) / rate <= now; next += 1) {
        outcomes.due[next] = startMs + (next * 1_000) / rate;
        clients[next % clients.length]!.add(next, now);
      }
      for (const client of clients) client.turn(now);
      if (outcomes.unsettled > 0) setImmediate(turn);
      else resolve();
    };
    turn();
  });
  for (const client of clients) client.close();
  return outcomes.result(seconds);
}

process.stdout.write(JSON.stringify(await run(JSON.parse(process.argv[2] ?? "") as LoadJob)));
