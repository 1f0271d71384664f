import type { PolicyService } from "../../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import type {
  ColumnFrame,
  EvaluateStreamRequest,
  EvaluateStreamResponse,
  RowFrame,
  RowResult,
  StreamOpen,
} from "../../../gen/gatehouse/policy/v1/stream_pb.ts";
import type { BidiCall, CallContext } from "../../shared/rpc/handler.ts";
import { type FieldViolation, invalidArgument, ServiceError } from "../../shared/service-error.ts";
import { type Decision, toEvaluation } from "../cedar/decision.ts";
import type { EntityJson } from "../cedar/types.ts";
import { checkEntities, toContext, toEntity } from "../convert.ts";
import type { ActivePolicies } from "../domain/active-policies.ts";
import type { AnsweredDecision, DecisionLog } from "../domain/decision-log.ts";
import type { DecisionObserver } from "../domain/decision-observer.ts";
import { overlay } from "../domain/evaluate.ts";
import type { Shadow } from "../domain/shadow.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import { answerColumns, columnItemCount, UidTable } from "./columns.ts";
import { ItemEvaluator, type SampleItem, type StreamContext } from "./item-evaluator.ts";
import { PolicyLists } from "./policy-lists.ts";
import { answerRows } from "./rows.ts";

export interface StreamDependencies {
  readonly policies: ActivePolicies;
  readonly observer: DecisionObserver;
  readonly shadow: Shadow;
  /** Undefined when decisions are not logged. */
  readonly decisionLog: DecisionLog | undefined;
  readonly nextDecisionId: () => string;
  /** Most items that a stream may have in flight. */
  readonly maxInFlight: number;
  /** Ends a stream that is silent for so long, in milliseconds. */
  readonly idleTimeoutMs: number;
}

type Call = BidiCall<typeof PolicyService.method.evaluateStream>;

/** Most items of one frame (stream.proto). */
const maxFrameItems = 10_000;
/** Rows of one answer, and the characters of their policies, so that it stays well below the limit of a message. */
const rowsPerAnswer = 1_000;
const textPerAnswer = 131_072;

/** An item of a frame that is to be logged, once its answer has a name. */
interface SampledItem extends Pick<AnsweredDecision, "query" | "evaluation"> {
  readonly index: number;
}

/** What a stream has once it is open. */
interface Opened {
  readonly pinned: boolean;
  readonly shared: readonly EntityJson[];
  readonly contextJson: StreamContext["json"];
  readonly maxInFlight: number;
  /** The policies in use, before `shared` is laid over their entities. */
  base: Snapshot;
  evaluator: ItemEvaluator;
  context: StreamContext;
  lists: PolicyLists;
}

/**
 * One stream of evaluations. Frames are answered in the turn in which they come, so what is in flight is what one frame
 * holds, and a caller that does not read its answers is no longer read from: memory stays bounded by one frame.
 */
export class EvaluateStreamSession {
  readonly #call: Call;
  readonly #context: CallContext;
  readonly #dependencies: StreamDependencies;
  readonly #table = new UidTable();
  readonly #decided: (decision: Decision) => void;
  #opened: Opened | undefined;
  #idle: NodeJS.Timeout | undefined;
  #lastRowId = "";
  #lastFrameId = 0;

  constructor(call: Call, context: CallContext, dependencies: StreamDependencies) {
    this.#call = call;
    this.#context = context;
    this.#dependencies = dependencies;
    this.#decided = (decision) =>
      dependencies.observer.decided(decision.allow, decision.indeterminate, decision.errors.length);
  }

  start(): void {
    const call = this.#call;
    const { draining } = this.#context;
    const onDrain = (): void => this.#drain();
    this.#idle = setTimeout(() => call.end(idle()), this.#dependencies.idleTimeoutMs);
    draining.addEventListener("abort", onDrain, { once: true });
    call.onClose(() => {
      clearTimeout(this.#idle);
      draining.removeEventListener("abort", onDrain);
    });
    call.onEnd(() => call.end());
    call.onWritable(() => call.resume());
    call.onFrame((frame) => this.#receive(frame));
    if (draining.aborted) this.#drain();
  }

  #receive({ frame }: EvaluateStreamRequest): void {
    this.#idle?.refresh();
    if (frame.case === "open") {
      if (this.#opened !== undefined) throw protocolError("open", "comes first and only once");
      this.#open(frame.value);
      return;
    }
    const opened = this.#opened;
    if (opened === undefined) throw protocolError("frame", "must begin with open");
    if (!opened.pinned) this.#follow(opened);
    if (frame.case === "rows") this.#answerRows(frame.value, opened);
    else if (frame.case === "columns") this.#answerColumns(frame.value, opened);
    else throw protocolError("frame", "must be rows or columns");
  }

  #open(open: StreamOpen): void {
    const violations: FieldViolation[] = [];
    checkEntities(open.entities, violations);
    if (violations.length > 0) throw invalidArgument(violations);
    const base = this.#dependencies.policies.obtain(open.revision);
    if (!(base instanceof Promise)) {
      this.#begin(open, base);
      return;
    }
    this.#call.pause();
    base.then(
      (snapshot) => {
        this.#begin(open, snapshot);
        this.#call.resume();
      },
      (error: unknown) => this.#call.end(error),
    );
  }

  #begin(open: StreamOpen, base: Snapshot): void {
    const shared = open.entities.map(toEntity);
    const contextJson = toContext(open.context);
    const evaluator = new ItemEvaluator(overlaid(base, shared));
    const limit = this.#dependencies.maxInFlight;
    const maxInFlight = open.maxInFlight === 0 ? limit : Math.min(open.maxInFlight, limit);
    this.#opened = {
      pinned: open.revision !== "",
      shared,
      contextJson,
      maxInFlight,
      base,
      evaluator,
      context: evaluator.prepare(contextJson),
      lists: new PolicyLists(base.engine.policySet.policyIds, false),
    };
    this.#send({
      case: "opened",
      value: {
        $typeName: "gatehouse.policy.v1.StreamOpened",
        revision: base.revision,
        maxInFlight,
        maxFrameItems,
        idleTimeoutMs: this.#dependencies.idleTimeoutMs,
      },
    });
  }

  /** Goes over to the active policies when they have changed. */
  #follow(opened: Opened): void {
    const base = this.#dependencies.policies.require("");
    if (base === opened.base) return;
    opened.evaluator = new ItemEvaluator(overlaid(base, opened.shared));
    opened.context = opened.evaluator.prepare(opened.contextJson);
    opened.lists = new PolicyLists(base.engine.policySet.policyIds, true);
    opened.base = base;
    this.#table.resolveAgain(opened.evaluator);
    const value = { $typeName: "gatehouse.policy.v1.RevisionChanged", revision: base.revision } as const;
    this.#send({ case: "revisionChanged", value });
  }

  #answerRows({ items }: RowFrame, opened: Opened): void {
    if (items.length > maxFrameItems) throw protocolError("rows.items", `must have at most ${maxFrameItems} items`);
    const { policies } = this.#dependencies;
    const sampled: SampledItem[] = [];
    const sample = this.#sampling(opened, sampled);
    const rows = { ...opened, arrivedMs: performance.now(), decided: this.#decided, policies, sample };
    const results = answerRows(items, rows);
    this.#lastRowId = items.at(-1)?.id ?? this.#lastRowId;
    for (let from = 0; from < results.length; ) {
      const to = endOfAnswer(results, from);
      const slice = from === 0 && to === results.length ? results : results.slice(from, to);
      const batchId = this.#dependencies.nextDecisionId();
      this.#send({ case: "rows", value: { $typeName: "gatehouse.policy.v1.RowResults", results: slice, batchId } });
      this.#log(sampled, from, to, batchId, opened);
      from = to;
    }
  }

  #answerColumns(frame: ColumnFrame, opened: Opened): void {
    const count = columnItemCount(frame);
    if (count > maxFrameItems) throw protocolError("columns", `must have at most ${maxFrameItems} items`);
    this.#table.append(frame.uids, frame.resetTable, opened.evaluator);
    if (opened.lists.isFullFor(count)) opened.lists = new PolicyLists(opened.base.engine.policySet.policyIds, true);
    const sampled: SampledItem[] = [];
    const columns = {
      ...opened,
      table: this.#table,
      arrivedMs: performance.now(),
      decided: this.#decided,
      sample: this.#sampling(opened, sampled),
      nextBatchId: this.#dependencies.nextDecisionId,
    };
    const results = answerColumns(frame, columns);
    this.#lastFrameId = frame.frameId;
    this.#send({ case: "columns", value: results });
    this.#log(sampled, 0, count, results.batchId, opened);
  }

  /** What offers items of a frame to the shadow, if the stream is of the active policies, and to the decision log. */
  #sampling({ pinned, shared, base }: Opened, sampled: SampledItem[]): SampleItem | undefined {
    const { shadow, decisionLog } = this.#dependencies;
    const compares = !pinned && shadow.comparison !== undefined;
    if (!compares && decisionLog === undefined) return undefined;
    const { policyIds } = base.engine.policySet;
    return (principal, action, resource, context, decision, entities, index) => {
      const compared = compares && shadow.wants();
      const logged = decisionLog?.wants(decision.allow) ?? false;
      if (!compared && !logged) return;
      const query = {
        principal: principal.uid,
        action: action.uid,
        resource: resource.uid,
        context: context.json,
        entities: [...shared, ...entities.map(toEntity)],
      };
      const evaluation = toEvaluation(decision, policyIds);
      if (compared) shadow.take(query, evaluation);
      if (logged) sampled.push({ index, query, evaluation });
    };
  }

  /** Logs the sampled items from one index up to another, whose answers have a name now. */
  #log(sampled: readonly SampledItem[], from: number, to: number, batchId: string, { base }: Opened): void {
    if (sampled.length === 0) return;
    const { peerAddress, requestId, traceparent } = this.#context;
    for (const { index, query, evaluation } of sampled) {
      if (index < from || index >= to) continue;
      const decisionId = `${batchId}.${index - from}`;
      const decision = { query, evaluation, revision: base.revision, decisionId, peerAddress, requestId, traceparent };
      this.#dependencies.decisionLog?.take(decision);
    }
  }

  #send(frame: EvaluateStreamResponse["frame"]): void {
    if (!this.#call.send({ $typeName: "gatehouse.policy.v1.EvaluateStreamResponse", frame })) this.#call.pause();
  }

  #drain(): void {
    const value = {
      $typeName: "gatehouse.policy.v1.StreamDraining",
      lastRowId: this.#lastRowId,
      lastFrameId: this.#lastFrameId,
    } as const;
    this.#send({ case: "draining", value });
    this.#call.end(
      new ServiceError("UNAVAILABLE", "The server is shutting down.", { reason: "DRAINING", retryAfterMs: 100 }),
    );
  }
}

/** Where an answer that begins with the result at `from` ends. */
function endOfAnswer(results: readonly RowResult[], from: number): number {
  const end = Math.min(results.length, from + rowsPerAnswer);
  let text = 0;
  for (let at = from; at < end; at += 1) {
    const { result } = results[at] as RowResult;
    if (result.case !== "decision") continue;
    for (const policy of result.value.determiningPolicies) text += policy.length;
    for (const error of result.value.errors) text += error.policyId.length + error.message.length;
    if (text > textPerAnswer) return at + 1;
  }
  return end;
}

function overlaid(base: Snapshot, shared: readonly EntityJson[]): Snapshot {
  return shared.length === 0 ? base : overlay(base, shared);
}

function protocolError(field: string, description: string): ServiceError {
  return invalidArgument([{ field, description }]);
}

function idle(): ServiceError {
  return new ServiceError("DEADLINE_EXCEEDED", "The stream was silent for too long.", { reason: "STREAM_IDLE" });
}
