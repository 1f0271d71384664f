import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** One gRPC method under load. */
export interface H2Load {
  readonly address: string;
  /** For example `/gatehouse.policy.v1.PolicyService/Evaluate`. */
  readonly path: string;
  /** The encoded request message. */
  readonly message: Uint8Array;
  readonly seconds: number;
  /** Requests in flight, over 2 connections. */
  readonly inFlight: number;
  /** Core that the load generator runs on. */
  readonly core: number;
}

/** What h2load saw. gRPC failures count as answers: check one call's answer beside it. */
export interface H2LoadResult {
  readonly requestsPerSecond: number;
  readonly failed: number;
}

/** Puts a gRPC message into its length-prefixed frame. */
export function grpcFrame(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
}

/** Loads a method with nghttp2's h2load for a while. */
export async function runH2Load(load: H2Load): Promise<H2LoadResult> {
  const dir = mkdtempSync(join(tmpdir(), "gatehouse-bench-"));
  try {
    const data = join(dir, "request.bin");
    writeFileSync(data, grpcFrame(load.message));
    const connections = 2;
    const args = [
      ...["-c", String(load.core), "h2load", "-d", data],
      ...["-H", "content-type: application/grpc", "-H", "te: trailers"],
      ...["-c", String(connections), "-m", String(Math.max(1, Math.round(load.inFlight / connections))), "-t", "1"],
      ...["-D", String(load.seconds), "--warm-up-time", "1"],
      `http://${load.address}${load.path}`,
    ];
    const { stdout } = await run("taskset", args);
    const rate = /finished in [\d.]+\w+, ([\d.]+) req\/s/.exec(stdout);
    const failures = /(\d+) failed, (\d+) errored, (\d+) timeout/.exec(stdout);
    if (rate === null || failures === null) throw new Error(`h2load answered something unknown:\n${stdout}`);
    return {
      requestsPerSecond: Number(rate[1]),
      failed: Number(failures[1]) + Number(failures[2]) + Number(failures[3]),
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      throw new Error("h2load and taskset are needed: install the packages nghttp2-client and util-linux.", {
        cause: error,
      });
    }
    throw error;
  } finally {
    rmSync(dir, { recursive: true });
  }
}
