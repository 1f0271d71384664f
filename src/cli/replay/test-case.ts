import { Document } from "yaml";
import { formatUid } from "../policy-tests/run-test.ts";
import type { LoggedDecision } from "./logged-decision.ts";

/** A logged decision as a file for `gatehouse policy test`, in YAML. */
export function toTestFile(logged: LoggedDecision): string {
  const { decisionId, context = {}, entities = [], decision, determining, failed, indeterminate } = logged;
  const document = new Document({
    tests: [
      {
        description: `decision ${decisionId}`,
        request: {
          principal: formatUid(logged.principal),
          action: formatUid(logged.action),
          resource: formatUid(logged.resource),
          ...(Object.keys(context).length === 0 ? {} : { context }),
          ...(entities.length === 0 ? {} : { entities }),
        },
        decision,
        determining,
        ...(failed.length === 0 ? {} : { errors: failed }),
        ...(indeterminate ? { indeterminate } : {}),
      },
    ],
  });
  document.commentBefore = notesOn(logged)
    .map((note) => ` ${note}`)
    .join("\n");
  return document.toString({ lineWidth: 0 }).trimEnd();
}

/** What whoever reads the case must know. */
export function notesOn({ time, revision, masked, context, entities }: LoggedDecision): string[] {
  return [
    `Decided at ${time} by revision ${revision}.`,
    ...(masked.length === 0 ? [] : [`Masked, to be filled in: ${masked.map(printable).join(", ")}.`]),
    ...(context === undefined ? ["The context was too large to be logged."] : []),
    ...(entities === undefined ? ["The entities of the request were too large to be logged."] : []),
  ];
}

/** A name of a caller's, in one line. */
function printable(name: string): string {
  return JSON.stringify(name).slice(1, -1);
}
