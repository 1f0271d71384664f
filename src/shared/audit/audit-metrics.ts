import { Counter, Gauge, type Registry } from "prom-client";

/** `event`: an authentication or an administrative change. `decision`: a logged decision. */
export type AuditKind = "event" | "decision";

export interface AuditMetrics {
  recorded(kind: AuditKind, count: number): void;
  dropped(kind: AuditKind, count: number): void;
  /** How many events wait in the spool. */
  spooled(count: number): void;
}

export function createAuditMetrics(registry: Registry): AuditMetrics {
  const registers = [registry];
  const recorded = new Counter({
    name: "audit_events_total",
    help: "Audit events that were kept to be published: authentications and changes (event), logged decisions (decision).",
    labelNames: ["kind"],
    registers,
  });
  const dropped = new Counter({
    name: "audit_dropped_total",
    help: "Audit events that were lost: the spool or its disk was full (event); over the rate or the buffer (decision).",
    labelNames: ["kind"],
    registers,
  });
  for (const kind of ["event", "decision"]) {
    recorded.inc({ kind }, 0);
    dropped.inc({ kind }, 0);
  }
  const spooled = new Gauge({
    name: "audit_spooled_events",
    help: "Audit events that wait in the spool of this machine, as of five seconds ago at most.",
    registers,
  });
  return {
    recorded: (kind, count) => recorded.inc({ kind }, count),
    dropped: (kind, count) => dropped.inc({ kind }, count),
    spooled: (count) => spooled.set(count),
  };
}
