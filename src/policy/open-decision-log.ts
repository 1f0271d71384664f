import type { Logger } from "pino";
import type { AuditMetrics } from "../shared/audit/audit-metrics.ts";
import { createLossTeller } from "../shared/audit/losses.ts";
import type { Bus } from "../shared/bus/bus.ts";
import { createDecisionPublisher } from "./adapters/bus-decision-log.ts";
import type { PolicyConfig } from "./config.ts";
import { DecisionLog } from "./domain/decision-log.ts";

/** Opens the log of decisions; undefined when none are to be logged, so that it then costs a decision nothing. */
export function openDecisionLog(
  config: PolicyConfig,
  bus: Bus,
  metrics: AuditMetrics,
  logger: Logger,
): DecisionLog | undefined {
  const { decisionLogSample: sample, decisionLogDenials: denials } = config;
  if (sample === 0 && !denials) return undefined;
  const tellLoss = createLossTeller(logger, "decisions were not logged");
  return new DecisionLog({
    sample,
    denials,
    perSecond: config.decisionLogRate,
    maxSize: config.decisionLogBytes,
    mask: config.decisionLogMask,
    publish: createDecisionPublisher(bus),
    counted(logged, dropped) {
      if (logged > 0) metrics.recorded("decision", logged);
      if (dropped === 0) return;
      metrics.dropped("decision", dropped);
      tellLoss(dropped);
    },
  });
}
