import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { Bus } from "../bus/bus.ts";
import { openSqlite, SqliteOpenError } from "../store/sqlite.ts";
import { type AuditMetrics, createAuditMetrics } from "./audit-metrics.ts";
import { type AuditFileSink, startAuditFile } from "./file-sink.ts";
import { type AuditRecorder, createAuditRecorder, noRecorder } from "./recorder.ts";
import type { AuditSettings } from "./settings.ts";
import { createSpool } from "./spool.ts";

/** The audit of one service. */
export interface Audit {
  readonly metrics: AuditMetrics;
  /** For administrative changes. */
  readonly changes: AuditRecorder;
  /** For authentications. */
  readonly authentications: AuditRecorder;
  /**
   * Begins to write the file, where one is configured.
   *
   * @throws AuditFileError
   */
  start(): Promise<void>;
  /** To be called before the bus is closed. */
  close(): Promise<void>;
}

export interface OpenAuditOptions {
  readonly service: string;
  readonly settings: AuditSettings;
  /** Directory of the spool. */
  readonly dataDir: string;
  readonly bus: Bus;
  readonly registry: Registry;
  readonly logger: Logger;
}

export function openAudit(options: OpenAuditOptions): Audit {
  const { service, settings, bus, registry, logger } = options;
  const metrics = createAuditMetrics(registry);
  const recorder =
    settings.auditEvents === "off"
      ? noRecorder
      : createAuditRecorder({ service, bus, spool: openSpool(options), metrics, logger });
  let file: AuditFileSink | undefined;
  return {
    metrics,
    changes: recorder,
    authentications: settings.auditEvents === "all" ? recorder : noRecorder,
    async start() {
      const { auditFile: path, auditFileBytes: maxBytes, auditFileCount: count } = settings;
      if (path === "") return;
      file = await startAuditFile({ path: path.replaceAll("{service}", service), maxBytes, count, bus, logger });
    },
    async close() {
      await recorder.close();
      await file?.close();
    },
  };
}

/** With Redis nothing else needs a disk, so that a service must do without one; what it then has not published dies with it. */
function openSpool({ service, settings, dataDir, logger }: OpenAuditOptions): ReturnType<typeof createSpool> {
  const maxBytes = settings.auditSpoolBytes;
  try {
    return createSpool({ database: openSqlite(join(dataDir, `audit-${service}.db`)), maxBytes });
  } catch (error) {
    if (!(error instanceof SqliteOpenError)) throw error;
    logger.warn({ err: error }, "audit events that the bus has yet to get are kept in memory only");
    return createSpool({ database: new DatabaseSync(":memory:"), maxBytes });
  }
}
