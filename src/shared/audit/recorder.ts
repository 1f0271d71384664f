import { randomUUID } from "node:crypto";
import { toBinary } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import { AuditEventSchema } from "../../../gen/gatehouse/bus/v1/topics_pb.ts";
import type { Bus } from "../bus/bus.ts";
import { backOff, pause } from "../bus/retry.ts";
import { audit } from "../bus/topics.ts";
import { ServiceError } from "../service-error.ts";
import { type AuditRecord, toAuditEvent } from "./audit-event.ts";
import type { AuditMetrics } from "./audit-metrics.ts";
import { createLossTeller } from "./losses.ts";
import type { Spool, SpooledEvent } from "./spool.ts";

/** An act that has begun. */
export interface AuditIntent {
  /** Records how it ended, before this returns. */
  end(record: AuditRecord): void;
}

/** Keeps what happens for the audit topic: in the spool before it returns, on the bus soon after, at least once. */
export interface AuditRecorder {
  /**
   * Records an event. Never throws: one that cannot be kept is lost, counted and told.
   *
   * @param when `now`: it outlives this process from when this returns. `soon`: from the end of this turn of the event loop,
   *   for events that come by the thousand. Default: `now`.
   */
  record(record: AuditRecord, when?: "now" | "soon"): void;
  /**
   * Records that an act begins. Should this process end before the act does, the event tells that it was interrupted.
   *
   * @throws ServiceError UNAVAILABLE (AUDIT_UNAVAILABLE) when it cannot be kept: then the act must not be done.
   */
  begin(record: AuditRecord): AuditIntent;
  /** Publishes what it can within two seconds; what is left is published by the next process. */
  close(): Promise<void>;
}

/** Records nothing. */
export const noRecorder: AuditRecorder = {
  record: () => undefined,
  begin: () => ({ end: () => undefined }),
  close: async () => undefined,
};

export interface AuditRecorderOptions {
  /** Service that publishes, for example `auth-service`. */
  readonly service: string;
  readonly bus: Bus;
  readonly spool: Spool;
  readonly metrics: AuditMetrics;
  readonly logger: Logger;
  /** The wall clock, in milliseconds since the epoch. Default: `Date.now`. */
  readonly now?: () => number;
}

/** Reason of an act whose end nobody saw: it may have been done. */
export const interrupted = "INTERRUPTED";

/** Events published at once. */
const batchSize = 500;
/** How long events gather before they are published, in milliseconds: on the embedded store each batch costs a sync. */
const gatherMs = 20;
const tendEveryMs = 5_000;
const closingMs = 2_000;

export function createAuditRecorder(options: AuditRecorderOptions): AuditRecorder {
  const { service, bus, spool, metrics, logger, now = Date.now } = options;
  const ending = new AbortController();
  const tellLoss = createLossTeller(logger, "audit events were lost");
  let gathered: SpooledEvent[] = [];
  let flushing: NodeJS.Immediate | undefined;
  let awake = false;
  let onWake: () => void = () => undefined;

  function spooled(record: AuditRecord, id: string = randomUUID()): SpooledEvent {
    const payload = toBinary(AuditEventSchema, toAuditEvent(record, now()));
    return { id, operation: record.operation.slice(0, 64), payload };
  }

  function flush(): void {
    clearImmediate(flushing);
    flushing = undefined;
    if (gathered.length === 0) return;
    const events = gathered;
    gathered = [];
    try {
      spool.add(events);
      metrics.recorded("event", events.length);
      wake();
    } catch (error) {
      lost(events.length, error);
    }
  }

  function lost(count: number, error: unknown): void {
    metrics.dropped("event", count);
    tellLoss(count, error);
  }

  async function publish(): Promise<void> {
    for (let failures = 0; !ending.signal.aborted; ) {
      try {
        if (!(await publishBatch())) await woken();
        failures = 0;
        await pause(gatherMs, ending.signal);
      } catch (error) {
        failures += 1;
        if (failures === 1) logger.warn({ err: error }, "audit events cannot be published; they are kept");
        await backOff(failures, 1_000, ending.signal);
      }
    }
  }

  /** Publishes some; false when there are none. */
  async function publishBatch(): Promise<boolean> {
    const rows = spool.next(batchSize);
    if (rows.length === 0) return false;
    await bus.publishAll(
      audit,
      rows.map(({ id, operation, payload }) => ({ id, service, operation, payload })),
    );
    spool.remove(rows);
    return true;
  }

  /** Tells that there is something to publish, or that it is over. */
  function wake(): void {
    awake = true;
    onWake();
  }

  async function woken(): Promise<void> {
    if (!awake) {
      await new Promise<void>((resolve) => {
        onWake = resolve;
      });
    }
    awake = false;
  }

  function tend(): void {
    try {
      if (spool.tend() > 0) wake();
      metrics.spooled(spool.size());
    } catch (error) {
      logger.warn({ err: error }, "the spool of audit events cannot be used");
    }
  }

  const tending = setInterval(tend, tendEveryMs).unref();
  const published = publish();

  async function publishRest(): Promise<void> {
    for (const end = performance.now() + closingMs; performance.now() < end; ) if (!(await publishBatch())) return;
  }

  return {
    record(record, when = "now") {
      gathered.push(spooled(record));
      if (when === "now") flush();
      else flushing ??= setImmediate(flush);
    },
    begin(record) {
      let row: number;
      const event = spooled({ ...record, outcome: "error", reason: interrupted });
      try {
        row = spool.hold(event);
      } catch (error) {
        throw auditUnavailable(error);
      }
      return {
        end(result) {
          try {
            // Whoever took this process for dead has published the intent: then this is an event of its own.
            if (!spool.release(row, spooled(result, event.id))) spool.add([spooled(result)]);
            metrics.recorded("event", 1);
            wake();
          } catch (error) {
            lost(1, error);
          }
        },
      };
    },
    async close() {
      clearInterval(tending);
      flush();
      ending.abort();
      wake();
      await published;
      await publishRest().catch((error: unknown) => logger.warn({ err: error }, "audit events are left for later"));
      spool.close();
    },
  };
}

function auditUnavailable(cause: unknown): ServiceError {
  return new ServiceError("UNAVAILABLE", "What is changed here must be audited, and cannot be.", {
    reason: "AUDIT_UNAVAILABLE",
    retryAfterMs: 1_000,
    cause,
  });
}
