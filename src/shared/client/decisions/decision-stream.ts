import type { PolicyService } from "../../../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import type {
  ColumnResults,
  EvaluateStreamRequest,
  EvaluateStreamResponse,
  RowResults,
} from "../../../../gen/gatehouse/policy/v1/stream_pb.ts";
import { ServiceError } from "../../service-error.ts";
import type { BidiStream } from "../streams.ts";
import { itemId, PolicyListTable, ProtocolError, readColumns, readRow } from "./answers.ts";
import { columnFrame, rowFrame, timeoutFrom } from "./frames.ts";
import type { Pending } from "./pending.ts";
import type { SentFrame } from "./sent-frame.ts";
import { UidTable } from "./uid-table.ts";

type Wire = BidiStream<
  typeof PolicyService.method.evaluateStream.input,
  typeof PolicyService.method.evaluateStream.output
>;

export interface DecisionStreamListener {
  /** The terms are known; frames may be sent. */
  opened(stream: DecisionStream): void;
  /** A frame has all its answers, which gives credit back. */
  answered(stream: DecisionStream): void;
  /** There is room again after `isWritable` was false. */
  writable(stream: DecisionStream): void;
  /** The server is going away and takes nothing new. */
  draining(stream: DecisionStream): void;
  /** It is over, and what has no answer will not get one. The error says why; undefined when the server ended it well. */
  closed(stream: DecisionStream, error: ServiceError | undefined, unanswered: readonly Pending[]): void;
}

/** One EvaluateStream: sends questions in frames, and hands each answer to the question that it belongs to. */
export class DecisionStream {
  readonly #wire: Wire;
  readonly #listener: DecisionStreamListener;
  readonly #uids: UidTable;
  readonly #lists = new PolicyListTable();
  readonly #columns = new Map<number, SentFrame>();
  readonly #rows = new Map<string, { readonly question: Pending; readonly frame: SentFrame }>();
  #lastFrameId = 0;
  #lastRowId = 0;
  #revision = "";
  #terms: { readonly maxInFlight: number; readonly maxFrameItems: number } | undefined;
  #inFlight = 0;
  #frames = 0;
  #isWritable = true;
  #isRetired = false;
  #isClosed = false;

  constructor(wire: Wire, listener: DecisionStreamListener, maxInFlight: number, maxTableUids?: number) {
    this.#wire = wire;
    this.#listener = listener;
    this.#uids = new UidTable(maxTableUids);
    wire.onFrame(({ frame }) => this.#receive(frame));
    wire.onWritable(() => {
      this.#isWritable = true;
      listener.writable(this);
    });
    wire.onClose((error) => this.#close(error));
    this.#send({
      case: "open",
      value: { $typeName: "gatehouse.policy.v1.StreamOpen", revision: "", entities: [], maxInFlight },
    });
  }

  get isOpen(): boolean {
    return this.#terms !== undefined && !this.#isClosed;
  }

  get isWritable(): boolean {
    return this.#isWritable;
  }

  /** Frames that have not all their answers. */
  get frames(): number {
    return this.#frames;
  }

  /** Items that one more frame may hold; 0 when the credit is used up. */
  get room(): number {
    if (this.#terms === undefined) return 0;
    const { maxInFlight, maxFrameItems } = this.#terms;
    return Math.min(maxInFlight - this.#inFlight, maxFrameItems);
  }

  /** Sends questions, at most `room` of them. */
  ask(questions: readonly Pending[]): void {
    const withEntities = questions.filter(({ question }) => question.entities.length > 0);
    const without =
      withEntities.length === 0 ? questions : questions.filter(({ question }) => question.entities.length === 0);
    if (without.length > 0) this.#askColumns(without);
    if (withEntities.length > 0) this.#askRows(withEntities);
  }

  /** Takes no more questions, and ends once those asked have their answers. */
  retire(): void {
    this.#isRetired = true;
    if (this.#frames === 0) this.#wire.end();
  }

  /** Ends at once; what has no answer is handed to `closed`. */
  cancel(error: ServiceError): void {
    this.#wire.cancel();
    this.#close(error);
  }

  #askColumns(questions: readonly Pending[]): void {
    const frame = this.#depart(questions);
    this.#lastFrameId = (this.#lastFrameId % 0xffff_ffff) + 1;
    this.#columns.set(this.#lastFrameId, frame);
    let last = 0;
    for (const { deadline } of questions) if (deadline > last) last = deadline;
    const timeoutMs = timeoutFrom(frame.sentAt, last);
    this.#send({ case: "columns", value: columnFrame(this.#lastFrameId, questions, this.#uids, timeoutMs) });
  }

  #askRows(questions: readonly Pending[]): void {
    const frame = this.#depart(questions);
    const ids = questions.map((question) => {
      this.#lastRowId += 1;
      const id = this.#lastRowId.toString(36);
      this.#rows.set(id, { question, frame });
      return id;
    });
    this.#send({ case: "rows", value: rowFrame(ids, questions, frame.sentAt) });
  }

  #depart(questions: readonly Pending[]): SentFrame {
    const frame: SentFrame = { questions, sentAt: Date.now(), open: questions.length, isLate: false };
    for (const question of questions) {
      question.attempts += 1;
      question.frame = frame;
    }
    this.#inFlight += questions.length;
    this.#frames += 1;
    return frame;
  }

  #send(frame: EvaluateStreamRequest["frame"]): void {
    this.#isWritable = this.#wire.send({ $typeName: "gatehouse.policy.v1.EvaluateStreamRequest", frame });
  }

  #receive(frame: EvaluateStreamResponse["frame"]): void {
    if (this.#isClosed) return;
    try {
      switch (frame.case) {
        case "opened": {
          if (this.#terms !== undefined) throw new ProtocolError("opened only once");
          const { revision, maxInFlight, maxFrameItems } = frame.value;
          if (maxInFlight === 0 || maxFrameItems === 0) throw new ProtocolError("room for an item");
          this.#revision = revision;
          this.#terms = { maxInFlight, maxFrameItems };
          this.#listener.opened(this);
          return;
        }
        case "columns":
          this.#receiveColumns(frame.value);
          return;
        case "rows":
          this.#receiveRows(frame.value);
          return;
        case "revisionChanged":
          this.#revision = frame.value.revision;
          return;
        case "draining":
          this.#isRetired = true;
          this.#listener.draining(this);
          return;
        default:
        // A frame of a later version of the contract, which answers nothing that was asked.
      }
    } catch (cause) {
      const detail = cause instanceof ProtocolError ? `: expected ${cause.message}` : "";
      const message = `The server broke the protocol${detail}.`;
      this.cancel(new ServiceError("INTERNAL", message, { reason: "PROTOCOL_ERROR", cause }));
    }
  }

  #receiveColumns(results: ColumnResults): void {
    const frame = this.#columns.get(results.frameId);
    if (frame === undefined) throw new ProtocolError("the answer to a frame in flight");
    const answers = readColumns(results, frame.questions.length, this.#lists, this.#revision);
    this.#columns.delete(results.frameId);
    frame.open = 0;
    this.#inFlight -= answers.length;
    for (const [index, answer] of answers.entries()) hand(answer, frame.questions[index] as Pending);
    this.#finish();
  }

  #receiveRows({ results, batchId }: RowResults): void {
    for (const [index, result] of results.entries()) {
      const row = this.#rows.get(result.id);
      if (row === undefined) throw new ProtocolError("the answer to a row in flight");
      this.#rows.delete(result.id);
      this.#inFlight -= 1;
      row.frame.open -= 1;
      hand(readRow(result, this.#revision, itemId(batchId, index)), row.question);
      if (row.frame.open === 0) this.#finish();
    }
  }

  #finish(): void {
    this.#frames -= 1;
    this.#listener.answered(this);
    if (this.#isRetired && this.#frames === 0) this.#wire.end();
  }

  #close(error: ServiceError | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const unanswered = [...this.#columns.values()].flatMap(({ questions }) => questions);
    for (const { question } of this.#rows.values()) unanswered.push(question);
    this.#columns.clear();
    this.#rows.clear();
    this.#listener.closed(this, error, unanswered);
  }
}

function hand(answer: ReturnType<typeof readRow>, question: Pending): void {
  if (!(answer instanceof ServiceError)) question.answer(answer);
  // The server counts the same time as the client, which says it in the caller's terms.
  else if (answer.code === "DEADLINE_EXCEEDED") question.expire();
  else question.fail(answer);
}
