/**
 * A reference EvaluateStream on a real socket, written to the comments of stream.proto alone. It decides by
 * `expectedDecision`, and notes what a client must not do.
 *
 * Run as a program, it listens on the port given as its argument and prints `listening <port>`.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import { Decision, DecisionReason } from "../../../../gen/gatehouse/policy/v1/decision_pb.ts";
import type { EntityUid } from "../../../../gen/gatehouse/policy/v1/entity_pb.ts";
import {
  type ColumnFrame,
  type ColumnResults,
  ColumnResultsSchema,
  type EvaluateStreamRequest,
  EvaluateStreamRequestSchema,
  type EvaluateStreamResponse,
  EvaluateStreamResponseSchema,
  type RowItem,
  type RowResult,
  RowResultSchema,
} from "../../../../gen/gatehouse/policy/v1/stream_pb.ts";
import { StatusSchema } from "../../../../gen/google/rpc/status_pb.ts";
import { statusCodes } from "../../service-error.ts";
import { expectedDecision } from "./expected-decision.ts";

/** How the server behaves; may be changed while it runs. */
export interface StreamBehaviour {
  maxInFlight: number;
  maxFrameItems: number;
  /** Longest time before a frame is answered, in milliseconds; frames overtake one another. */
  maxDelayMs: number;
  /** Whether frames are read but not answered. */
  isSilent: boolean;
  /** Whether `open` is not answered. */
  ignoresOpen: boolean;
  /** Policy lists in a table before it is reset. */
  maxLists: number;
  /** Says what an answer is to be instead, to see what a client does with a faulty one. */
  tamper: ((frame: EvaluateStreamResponse["frame"]) => EvaluateStreamResponse["frame"]) | undefined;
}

export interface StreamServer {
  readonly port: number;
  readonly behaviour: StreamBehaviour;
  /** What clients did that the contract forbids. */
  readonly violations: string[];
  /** Sizes of the frames received. */
  readonly frames: number[];
  readonly counts: { items: number; rows: number; resets: number; streams: number };
  /** Streams that are open. */
  readonly live: ReadonlySet<StreamControl>;
  /** Ends all calls and closes the port. */
  stop(): void;
}

export interface StreamControl {
  /** Announces the end, answers what it has, takes nothing new, and ends with UNAVAILABLE. */
  drain(): void;
  changeRevision(revision: string): void;
  /** Ends the stream with a status. */
  end(code: number): void;
}

type Wire = ServerDuplexStream<EvaluateStreamRequest, EvaluateStreamResponse>;

const defaults: StreamBehaviour = {
  maxInFlight: 5_000,
  maxFrameItems: 10_000,
  maxDelayMs: 0,
  isSilent: false,
  ignoresOpen: false,
  maxLists: 500,
  tamper: undefined,
};

class Violation extends Error {}

class Session implements StreamControl {
  readonly #wire: Wire;
  readonly #server: StreamServer;
  #isOpen = false;
  #isDraining = false;
  #inFlight = 0;
  #frames = 0;
  #table: EntityUid[] = [];
  #lists = new Map<string, number>();
  readonly #frameIds = new Set<number>();
  readonly #rowIds = new Set<string>();

  constructor(wire: Wire, server: StreamServer) {
    this.#wire = wire;
    this.#server = server;
    wire.on("data", ({ frame }: EvaluateStreamRequest) => {
      try {
        this.#receive(frame);
      } catch (error) {
        if (!(error instanceof Violation)) throw error;
        server.violations.push(error.message);
        this.end(statusCodes.INVALID_ARGUMENT);
      }
    });
    wire.on("end", () => this.#endWhenIdle(statusCodes.OK));
    wire.on("error", () => {});
  }

  drain(): void {
    this.#isDraining = true;
    this.#send({
      case: "draining",
      value: { $typeName: "gatehouse.policy.v1.StreamDraining", lastRowId: "", lastFrameId: 0 },
    });
    this.#endWhenIdle(statusCodes.UNAVAILABLE);
  }

  changeRevision(revision: string): void {
    this.#send({ case: "revisionChanged", value: { $typeName: "gatehouse.policy.v1.RevisionChanged", revision } });
  }

  end(code: number): void {
    this.#isDraining = true;
    this.#frames = 0;
    this.#wire.emit("error", { code, details: "ended by the test" });
  }

  #endWhenIdle(code: number): void {
    if (this.#wire.cancelled || this.#wire.destroyed) return;
    const isIdle = this.#frames === 0;
    if (isIdle && code === statusCodes.OK) this.#wire.end();
    else if (isIdle) this.end(code);
    else setTimeout(() => this.#endWhenIdle(code), 1);
  }

  #receive(frame: EvaluateStreamRequest["frame"]): void {
    const { behaviour, counts } = this.#server;
    if (this.#isDraining) return;
    if (frame.case === "open") {
      if (this.#isOpen) throw new Violation("opened twice");
      this.#isOpen = true;
      counts.streams += 1;
      if (behaviour.ignoresOpen) return;
      const wanted = frame.value.maxInFlight || behaviour.maxInFlight;
      this.#send({
        case: "opened",
        value: {
          $typeName: "gatehouse.policy.v1.StreamOpened",
          revision: "1-reference",
          maxInFlight: Math.min(wanted, behaviour.maxInFlight),
          maxFrameItems: behaviour.maxFrameItems,
          idleTimeoutMs: 60_000,
        },
      });
      return;
    }
    if (!this.#isOpen) throw new Violation("not opened first");
    if (frame.case === "columns") this.#columns(frame.value);
    else if (frame.case === "rows") this.#rows(frame.value.items);
    else throw new Violation("an empty frame");
  }

  #columns(frame: ColumnFrame): void {
    const { principals, actions, resources, frameId } = frame;
    if (this.#frameIds.has(frameId)) throw new Violation(`frame ${frameId} is in flight`);
    this.#frameIds.add(frameId);
    const count = Math.max(principals.length, actions.length, resources.length);
    if (frame.resetTable) {
      this.#table = [];
      this.#server.counts.resets += 1;
    }
    this.#table.push(...frame.uids);
    if (this.#table.length > 65_536) throw new Violation("the table is too large");
    const at = (column: readonly number[], n: number): EntityUid | undefined =>
      this.#table[(column.length === 1 ? column[0] : column[n]) ?? -1];
    const asked = Array.from({ length: count }, (_, n) => {
      const contextIndex = frame.contextIndexes.length === 0 ? 0 : (frame.contextIndexes[n] ?? 0);
      const context = contextIndex === 0 ? undefined : frame.contexts[contextIndex - 1];
      return { principal: at(principals, n), action: at(actions, n), resource: at(resources, n), context };
    });
    this.#later(count, () => {
      this.#frameIds.delete(frameId);
      this.#send({ case: "columns", value: this.#answerColumns(frameId, asked) });
    });
  }

  #answerColumns(
    frameId: number,
    asked: readonly {
      readonly principal: EntityUid | undefined;
      readonly action: EntityUid | undefined;
      readonly resource: EntityUid | undefined;
      readonly context: Parameters<typeof expectedDecision>[0]["context"];
    }[],
  ): ColumnResults {
    const results = create(ColumnResultsSchema, { frameId });
    if (this.#lists.size + asked.length > this.#server.behaviour.maxLists) {
      this.#lists = new Map();
      results.resetPolicyLists = true;
    }
    for (const [index, { principal, action, resource, context }] of asked.entries()) {
      if (principal === undefined || action === undefined || resource === undefined) {
        this.#server.violations.push("an index that is not in the table");
        continue;
      }
      if (resource.id.startsWith("fault")) {
        results.decisions.push(Decision.UNSPECIFIED);
        results.policyLists.push(0);
        const error = create(StatusSchema, { code: statusCodes.NOT_FOUND, message: resource.id });
        results.faults.push({ $typeName: "gatehouse.policy.v1.ColumnFault", index, error });
        continue;
      }
      const { allow, policies, error, indeterminate } = expectedDecision({ principal, action, resource, context });
      results.decisions.push(allow ? Decision.ALLOW : Decision.DENY);
      let list = 0;
      const [policy] = policies;
      if (policy !== undefined) {
        list = this.#lists.get(policy) ?? this.#lists.size + 1;
        if (!this.#lists.has(policy)) {
          this.#lists.set(policy, list);
          results.newPolicyLists.push({ $typeName: "gatehouse.policy.v1.PolicyList", policyIds: [policy] });
        }
      }
      results.policyLists.push(list);
      if (indeterminate) results.indeterminate.push(index);
      if (error !== undefined) {
        const errors = [{ $typeName: "gatehouse.policy.v1.PolicyError" as const, policyId: "failed", message: error }];
        results.policyErrors.push({ $typeName: "gatehouse.policy.v1.ColumnPolicyErrors", index, errors });
      }
    }
    return results;
  }

  #rows(items: readonly RowItem[]): void {
    this.#server.counts.rows += items.length;
    for (const { id } of items) {
      if (id.length < 1 || id.length > 64) throw new Violation(`the row id ${id}`);
      if (this.#rowIds.has(id)) throw new Violation(`row ${id} is in flight`);
      this.#rowIds.add(id);
    }
    this.#later(items.length, () => {
      for (const { id } of items) this.#rowIds.delete(id);
      // In another order, and in two frames.
      const results = items.map((item) => answerRow(item)).reverse();
      const half = results.length >> 1;
      for (const part of [results.slice(0, half), results.slice(half)]) {
        this.#send({
          case: "rows",
          value: { $typeName: "gatehouse.policy.v1.RowResults", batchId: "", results: part },
        });
      }
    });
  }

  #later(count: number, answer: () => void): void {
    const { behaviour, counts, frames } = this.#server;
    this.#inFlight += count;
    this.#frames += 1;
    counts.items += count;
    frames.push(count);
    if (this.#inFlight > behaviour.maxInFlight) throw new Violation("more in flight than granted");
    if (count > behaviour.maxFrameItems) throw new Violation("more in a frame than granted");
    if (behaviour.isSilent) return;
    const run = (): void => {
      if (this.#wire.cancelled) return;
      this.#inFlight -= count;
      this.#frames -= 1;
      answer();
    };
    if (behaviour.maxDelayMs === 0) run();
    else setTimeout(run, Math.random() * behaviour.maxDelayMs);
  }

  #send(frame: EvaluateStreamResponse["frame"]): void {
    const { tamper } = this.#server.behaviour;
    this.#wire.write({
      $typeName: "gatehouse.policy.v1.EvaluateStreamResponse",
      frame: tamper === undefined ? frame : tamper(frame),
    });
  }
}

function answerRow({ id, principal, action, resource, context, entities }: RowItem): RowResult {
  if (principal === undefined || action === undefined || resource === undefined || resource.id.startsWith("fault")) {
    const error = create(StatusSchema, { code: statusCodes.NOT_FOUND, message: resource?.id ?? "" });
    return create(RowResultSchema, { id, result: { case: "error", value: error } });
  }
  const entityIds = entities.map(({ uid }) => uid?.id ?? "");
  const { allow, policies, error, indeterminate } = expectedDecision({
    principal,
    action,
    resource,
    context,
    entityIds,
  });
  const denial = indeterminate ? DecisionReason.INDETERMINATE : DecisionReason.NO_MATCH;
  return create(RowResultSchema, {
    id,
    result: {
      case: "decision",
      value: {
        decision: allow ? Decision.ALLOW : Decision.DENY,
        determiningPolicies: [...policies],
        errors: error === undefined ? [] : [{ policyId: "failed", message: error }],
        reason: allow ? DecisionReason.PERMITTED : policies.length > 0 ? DecisionReason.FORBIDDEN : denial,
      },
    },
  });
}

/** Starts the server; port 0 lets the system choose. */
export function startStreamServer(port = 0, behaviour: Partial<StreamBehaviour> = {}): Promise<StreamServer> {
  const server = new Server();
  const live = new Set<Session>();
  const counts = { items: 0, rows: 0, resets: 0, streams: 0 };
  const started = { behaviour: { ...defaults, ...behaviour }, violations: [], frames: [], counts, live };
  return new Promise((resolve, reject) => {
    const bind = (bound: number): StreamServer => ({ ...started, port: bound, stop: () => server.forceShutdown() });
    let running: StreamServer | undefined;
    server.addService(
      {
        evaluateStream: {
          path: "/gatehouse.policy.v1.PolicyService/EvaluateStream",
          requestStream: true,
          responseStream: true,
          requestDeserialize: (bytes: Buffer) => fromBinary(EvaluateStreamRequestSchema, bytes),
          requestSerialize: (message: EvaluateStreamRequest) =>
            Buffer.from(toBinary(EvaluateStreamRequestSchema, message)),
          responseSerialize: (message: EvaluateStreamResponse) =>
            Buffer.from(toBinary(EvaluateStreamResponseSchema, message)),
          responseDeserialize: (bytes: Buffer) => fromBinary(EvaluateStreamResponseSchema, bytes),
        },
      },
      {
        evaluateStream: (wire: Wire) => {
          if (running === undefined) return;
          const session = new Session(wire, running);
          live.add(session);
          for (const over of ["cancelled", "finish", "error"]) wire.on(over, () => live.delete(session));
        },
      },
    );
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
      running = bind(bound);
      if (error === null) resolve(running);
      else reject(error);
    });
  });
}

if (import.meta.main) {
  const { port } = await startStreamServer(Number(process.argv[2] ?? 0), { maxDelayMs: 3 });
  process.stdout.write(`listening ${port}\n`);
}
