import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Decision } from "../../gen/gatehouse/policy/v1/decision_pb.ts";
import type { EntityUid } from "../../gen/gatehouse/policy/v1/entity_pb.ts";
import {
  type GetShadowReportResponse,
  type PolicyFinding,
  type Revision,
  Severity,
  type ShadowDifference,
} from "../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import { table } from "./table.ts";

export function revisionsText(revisions: readonly Revision[]): string {
  return table(
    ["REVISION", "POLICIES", "STATE", "PUBLISHED", "COMMENT"],
    revisions.map(({ id, policyCount, active, shadow, createTime, comment }) => [
      id,
      String(policyCount),
      active ? "active" : shadow ? "shadow" : "-",
      createTime === undefined ? "-" : timestampDate(createTime).toISOString(),
      comment,
    ]),
  );
}

export function findingsText(findings: readonly PolicyFinding[]): string {
  return findings
    .map(({ severity, message, file, line, column, policyId, excerpt, help }) =>
      [
        `${severity === Severity.ERROR ? "error" : "warning"}${policyId === "" ? "" : ` in ${policyId}`}: ${message}`,
        line === 0 ? file : `${file}:${line}:${column}`,
        excerpt,
        help,
      ]
        .filter(Boolean)
        .join("\n"),
    )
    .join("\n\n");
}

export function shadowReportText(report: GetShadowReportResponse): string {
  const { revision, active, evaluated, different, skipped, differences } = report;
  if (revision === "") return "There is no shadow.";
  const share = evaluated === 0n ? "" : ` (${((100 * Number(different)) / Number(evaluated)).toFixed(2)} %)`;
  const head = `${revision} beside ${active}: ${evaluated} requests compared, ${different} different${share}, ${skipped} skipped`;
  return [head, ...differences.map(differenceText)].join("\n\n");
}

function differenceText(difference: ShadowDifference): string {
  const { activeDecision, activePolicies, shadowDecision, shadowPolicies, count, examples } = difference;
  const by = (policies: readonly string[]): string =>
    policies.length === 0 ? "by default" : `by ${policies.join(", ")}`;
  return [
    `${count} × ${word(activeDecision)} ${by(activePolicies)} -> ${word(shadowDecision)} ${by(shadowPolicies)}`,
    ...examples.map(({ principal, action, resource }) => `    ${uid(principal)} ${uid(action)} ${uid(resource)}`),
  ].join("\n");
}

function word(decision: Decision): string {
  if (decision === Decision.ALLOW) return "ALLOW";
  return decision === Decision.DENY ? "DENY" : "refused";
}

function uid(name: EntityUid | undefined): string {
  return `${name?.type}::${JSON.stringify(name?.id)}`;
}
