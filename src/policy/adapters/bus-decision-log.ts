import { randomUUID } from "node:crypto";
import { type AuditRecord, toAuditEvent } from "../../shared/audit/audit-event.ts";
import type { Bus } from "../../shared/bus/bus.ts";
import { audit } from "../../shared/bus/topics.ts";
import type { LoggedDecision } from "../domain/decision-log.ts";

const operation = "decide";

/** Publishes logged decisions on the topic `audit`. One that is published again has the same id. */
export function createDecisionPublisher(bus: Bus): (decisions: readonly LoggedDecision[]) => Promise<void> {
  const ids = new WeakMap<LoggedDecision, string>();
  const idOf = (decision: LoggedDecision): string => {
    const id = ids.get(decision) ?? randomUUID();
    ids.set(decision, id);
    return id;
  };
  return async (decisions) => {
    await bus.publishAll(
      audit,
      decisions.map((decision) => ({
        id: idOf(decision),
        service: "policy-service",
        operation,
        payload: toAuditEvent(toRecord(decision), decision.time),
      })),
    );
  };
}

function toRecord(decision: LoggedDecision): AuditRecord {
  const { principal, action, resource, allowed, reason, revision, determining, failed, context, entities } = decision;
  const { decisionId, peerAddress, requestId, traceparent, masked } = decision;
  const omitted = [context === undefined ? "context" : [], entities === undefined ? "entities" : []].flat();
  return {
    operation,
    outcome: allowed ? "success" : "denied",
    reason,
    actor: principal,
    action,
    resource,
    peerAddress,
    requestId,
    traceparent,
    decisionId,
    policyRevision: revision,
    determiningPolicies: determining,
    details: {
      ...(context === undefined ? {} : { context }),
      ...(entities === undefined || entities === "[]" ? {} : { entities }),
      ...(failed.length === 0 ? {} : { failed: JSON.stringify(failed.slice(0, 100)) }),
      ...(masked.length === 0 ? {} : { masked: JSON.stringify(masked.slice(0, 100)) }),
      ...(omitted.length === 0 ? {} : { omitted: omitted.join(" ") }),
    },
  };
}
