import { hostname } from "node:os";
import type { Logger } from "pino";
import type { Bus } from "../bus/bus.ts";
import { backOff } from "../bus/retry.ts";
import { audit } from "../bus/topics.ts";
import { eventToJson } from "./event-json.ts";
import { openRotatingFile, type RotatingFileOptions } from "./rotating-file.ts";

/** Consumer group of the topic `audit`: each event goes to the file of one of the services that have one. */
export const auditFileGroup = "audit-file";

export interface AuditFileOptions extends RotatingFileOptions {
  readonly bus: Bus;
  readonly logger: Logger;
}

/** Writes the audit topic to a file. */
export interface AuditFileSink {
  /** Finishes what is being written. What was not is given to the next consumer. */
  close(): Promise<void>;
}

/** The file of audit events cannot be written; the message names it and says why. */
export class AuditFileError extends Error {
  override readonly name = "AuditFileError";
}

/** Events written at once, by one sync. */
const batchSize = 200;
/** A disk that is full may stay so for a while; it is no fault of the event that waits for it. */
const longestWaitMs = 2 ** 31 - 1;

interface Waiting {
  readonly line: string;
  readonly written: () => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Writes each event as a line of JSON, and acknowledges it once the disk has it: none is lost, and one that is written twice,
 * after a crash, has the same `id`.
 *
 * @throws AuditFileError
 */
export async function startAuditFile({ bus, logger, ...options }: AuditFileOptions): Promise<AuditFileSink> {
  const file = await openRotatingFile(options).catch((cause: Error) => {
    throw new AuditFileError(`${options.path} cannot be written: ${cause.message}`, { cause });
  });
  const ending = new AbortController();
  let waiting: Waiting[] = [];
  let writing = false;

  async function write(): Promise<void> {
    writing = true;
    for (let failures = 0; waiting.length > 0; ) {
      // What is handed over in this turn of the event loop goes into one sync.
      await new Promise(setImmediate);
      const batch = waiting;
      waiting = [];
      try {
        await file.append(batch.map(({ line }) => line));
        for (const { written } of batch) written();
        failures = 0;
      } catch (error) {
        failures += 1;
        if (failures === 1) logger.error({ err: error, path: options.path }, "the audit file cannot be written");
        if (ending.signal.aborted) for (const { failed } of batch) failed(error);
        else waiting.unshift(...batch);
        await backOff(failures, 5_000, ending.signal);
      }
    }
    writing = false;
  }

  const consumer = bus.consume(audit, {
    group: auditFileGroup,
    consumer: `${hostname()}:${process.pid}`.slice(-128),
    concurrency: batchSize,
    // What a killed process was writing is written again soon after it is back.
    claimAfterMs: 10_000,
    handlerTimeoutMs: longestWaitMs,
    signal: ending.signal,
    handler: async (message) =>
      await new Promise<void>((written, failed) => {
        waiting.push({ line: `${JSON.stringify(eventToJson(message))}\n`, written, failed });
        if (!writing) void write();
      }),
  });

  return {
    async close() {
      ending.abort();
      await consumer.closed;
      await file.close();
    },
  };
}
