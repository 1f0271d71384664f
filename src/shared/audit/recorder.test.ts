import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Registry } from "prom-client";
import { CreateUserRequestSchema, IdentityService } from "../../../gen/gatehouse/auth/v1/identity_service_pb.ts";
import { readAuditEvents } from "../../../test/support/audit-events.ts";
import { eventually } from "../../../test/support/eventually.ts";
import { freePort } from "../../../test/support/ports.ts";
import { type Bus, createBus } from "../bus/bus.ts";
import { createRedisLog } from "../bus/redis-log.ts";
import { createSqliteLog } from "../bus/sqlite-log.ts";
import { createLogger } from "../logger/logger.ts";
import { ServiceError } from "../service-error.ts";
import { createRedisConnector } from "../store/redis.ts";
import { openSqlite } from "../store/sqlite.ts";
import { createAdminAudit } from "./admin-audit.ts";
import type { AuditRecord } from "./audit-event.ts";
import { createAuditMetrics } from "./audit-metrics.ts";
import { type AuditRecorder, createAuditRecorder } from "./recorder.ts";
import { createSpool } from "./spool.ts";

const signedIn: AuditRecord = { operation: "authenticate", outcome: "success", actor: { type: "User", id: "alice" } };

describe("the recorder", () => {
  let directory: string;
  let registry: Registry;
  const logged: string[] = [];
  const logger = createLogger({ service: "test", destination: { write: (line) => void logged.push(line) } });
  const store = (): string => join(directory, "bus.db");
  const openBus = (): Bus => createBus({ log: createSqliteLog({ database: openSqlite(store()) }) });

  function open(bus: Bus, maxBytes = 10_000_000): AuditRecorder {
    registry = new Registry();
    const spool = createSpool({ database: openSqlite(join(directory, "audit.db")), maxBytes });
    return createAuditRecorder({ service: "test", bus, spool, metrics: createAuditMetrics(registry), logger });
  }
  async function counted(name: string): Promise<number> {
    const metric = await registry.getSingleMetric(name)?.get();
    return metric?.values.find(({ labels }) => labels.kind === "event")?.value ?? Number.NaN;
  }
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "gatehouse-recorder-"));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it("publishes in order what is recorded, within the bounds of a field", async () => {
    const bus = openBus();
    const recorder = open(bus);
    recorder.record({ ...signedIn, requestId: "1" }, "soon");
    recorder.record({ ...signedIn, requestId: "2" });
    recorder.record({ ...signedIn, requestId: "3", actor: { type: "User", id: `\ud800${"x".repeat(5_000)}` } }, "soon");
    await eventually(async () => {
      const events = await readAuditEvents(store());
      assert.deepEqual(
        events.map(({ requestId }) => requestId),
        ["1", "2", "3"],
      );
      const actor = events[2]?.actor as { id: string };
      assert.ok(actor.id.length === 1_024 && actor.id.isWellFormed());
    });
    await recorder.close();
    await bus.close();
  });

  it("tells of an act that was interrupted, and once of one that was not", async () => {
    const bus = openBus();
    const first = open(bus);
    first.begin({ ...signedIn, operation: "Interrupted" });
    first.begin({ ...signedIn, operation: "Ended" }).end({ ...signedIn, operation: "Ended" });
    await first.close();
    const second = open(bus);
    await eventually(async () => {
      const events = await readAuditEvents(store());
      assert.deepEqual(events.map(({ operation, outcome, reason }) => [operation, outcome, reason]).sort(), [
        ["Ended", "success", undefined],
        ["Interrupted", "error", "INTERRUPTED"],
      ]);
    });
    await second.close();
    await bus.close();
  });

  it("refuses changes, and counts and tells what is lost, when nothing more can be kept", async () => {
    const connect = createRedisConnector({ url: `redis://127.0.0.1:${await freePort()}` });
    const bus = createBus({ log: createRedisLog({ connect }) });
    const recorder = open(bus, 600_000);
    const large = { ...signedIn, details: { text: "x".repeat(50_000) } };
    for (let n = 0; n < 30; n += 1) recorder.record(large);
    // What is left of the last page is filled with small ones.
    for (let n = 0; n < 500; n += 1) recorder.record(signedIn);
    const dropped = await counted("audit_dropped_total");
    assert.ok(dropped > 0 && (await counted("audit_events_total")) === 530 - dropped);
    assert.ok(logged.some((line) => line.includes("audit events were lost")));

    const admin = createAdminAudit(recorder, "auth");
    const request = create(CreateUserRequestSchema, { name: "carol", password: "s3cret" });
    const context = { peerAddress: "127.0.0.1", requestId: "r", traceparent: "" };
    let acted = false;
    const call = admin(
      { method: IdentityService.method.createUser, request, context },
      async () => ({ type: "User", id: "admin" }),
      () => {
        acted = true;
      },
    );
    await assert.rejects(
      call,
      (error) => error instanceof ServiceError && error.code === "UNAVAILABLE" && error.reason === "AUDIT_UNAVAILABLE",
    );
    assert.equal(acted, false);
    await recorder.close();
    await bus.close();
  });
});
