import type { JsonObject } from "@bufbuild/protobuf";
import type { EntityUid } from "../../../../gen/gatehouse/policy/v1/entity_pb.ts";
import type { ColumnFrame, RowFrame, RowItem } from "../../../../gen/gatehouse/policy/v1/stream_pb.ts";
import type { EntityName } from "./decision.ts";
import type { Pending } from "./pending.ts";
import type { UidTable } from "./uid-table.ts";

/** Questions without entities of their own as columns: item n asks `questions[n]`. */
export function columnFrame(
  frameId: number,
  questions: readonly Pending[],
  table: UidTable,
  timeoutMs: number,
): ColumnFrame {
  table.reserve(questions.length * 3);
  const principals: number[] = [];
  const actions: number[] = [];
  const resources: number[] = [];
  const contexts: JsonObject[] = [];
  const contextIndexes: number[] = [];
  for (const { question } of questions) {
    principals.push(table.indexOf(question.principal));
    actions.push(table.indexOf(question.action));
    resources.push(table.indexOf(question.resource));
    contextIndexes.push(question.context === undefined ? 0 : contexts.push(question.context));
  }
  const { uids, resetTable } = table.takeNews();
  return {
    $typeName: "gatehouse.policy.v1.ColumnFrame",
    frameId,
    resetTable,
    uids,
    principals: shortened(principals),
    actions: shortened(actions),
    // Never shortened: the longest column is the number of items.
    resources,
    contexts,
    contextIndexes: contexts.length === 0 ? [] : contextIndexes,
    timeoutMs,
  };
}

/** One element stands for all when they are the same. */
function shortened(column: number[]): number[] {
  const [first] = column;
  return first !== undefined && column.every((index) => index === first) ? [first] : column;
}

/** Questions with entities of their own as rows; row n is named by `ids[n]`. */
export function rowFrame(ids: readonly string[], questions: readonly Pending[], now: number): RowFrame {
  const items = questions.map(({ question, deadline }, index): RowItem => {
    const { principal, action, resource, context, entities } = question;
    return {
      $typeName: "gatehouse.policy.v1.RowItem",
      id: ids[index] as string,
      principal: uid(principal),
      action: uid(action),
      resource: uid(resource),
      ...(context === undefined ? {} : { context }),
      entities,
      timeoutMs: timeoutFrom(now, deadline),
    };
  });
  return { $typeName: "gatehouse.policy.v1.RowFrame", items };
}

/** Time left, in whole milliseconds and at least one: zero would mean no limit. */
export function timeoutFrom(now: number, deadline: number): number {
  return Math.min(Math.max(1, Math.ceil(deadline - now)), 0xffff_ffff);
}

function uid({ type, id }: EntityName): EntityUid {
  return { $typeName: "gatehouse.policy.v1.EntityUid", type, id };
}
