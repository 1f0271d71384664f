import type { ServerHttp2Stream } from "node:http2";
import type { DescMessage, Message, MessageInitShape } from "@bufbuild/protobuf";
import { Metadata, type ServerInterceptingCallInterface } from "@grpc/grpc-js";
import { ServiceError, statusCodes } from "../../service-error.ts";
import { spiffeIdOfSession } from "../../tls/verified-peer.ts";
import { Call, type CallEnvironment } from "../call.ts";
import { decodeRequest, encodeResponse, type ServedMethod } from "../method.ts";
import { runBidi, runServerStream, runUnary } from "../run.ts";
import { cancelled } from "../steps/cancelled.ts";
import { effectiveDeadline } from "../steps/deadline.ts";
import { headerSize, headersTooLarge } from "../steps/header-size.ts";
import { statusBytes, statusMessage, toServiceError } from "../steps/status.ts";
import { Stream, type StreamTransport } from "../stream.ts";
import { SendWindow } from "./send-window.ts";
import { reportTransportStatus } from "./transport-status.ts";

const ok = { code: 0, details: "OK", metadata: null };
const noop = (): void => {};

/**
 * A call on the grpc-js port.
 *
 * It stands directly on the lower half of a grpc-js call, which interceptors see: events and bytes. grpc-js's upper half,
 * with a Node stream for each call, is never built; that is what makes room for all that the host does for a call.
 */
export class GrpcCall extends Call implements StreamTransport {
  readonly peerPrincipal: string | undefined;
  private readonly transport: ServerInterceptingCallInterface;
  private metadata: Metadata | undefined = undefined;
  private requestBytes: Uint8Array | undefined = undefined;
  private stream: Stream | undefined = undefined;
  private window: SendWindow | undefined = undefined;

  constructor(
    served: ServedMethod,
    environment: CallEnvironment,
    arrivedAt: number,
    transport: ServerInterceptingCallInterface,
  ) {
    super(served, environment, arrivedAt);
    this.transport = transport;
    this.peerPrincipal = spiffeIdOfSession((transport as { readonly stream?: ServerHttp2Stream }).stream?.session);
    reportTransportStatus(transport, this);
  }

  /** Called by grpc-js in place of the upper half, whose listener is not needed. */
  start(): void {
    this.transport.start(this);
  }

  get peerAddress(): string {
    return this.transport.getConnectionInfo().remoteAddress ?? "unknown";
  }

  header(name: string): string | undefined {
    const values = this.metadata?.get(name) ?? [];
    if (values.length > 1) return values.join(", ");
    const [value] = values;
    return typeof value === "string" ? value : undefined;
  }

  onReceiveMetadata(metadata: Metadata): void {
    this.enter();
    this.metadata = metadata;
    const kind = this.served.descriptor.methodKind;
    const asked = this.transport.getDeadline();
    const deadline = typeof asked === "number" && asked !== Number.POSITIVE_INFINITY ? asked : undefined;
    const now = Date.now();
    this.deadline = effectiveDeadline(deadline, now, kind === "unary" ? this.environment.limits.maxUnaryMs : undefined);
    const { maxHeaderBytes } = this.environment.limits;
    if (headerSize(metadata.toJSON()) > maxHeaderBytes) this.fail(headersTooLarge(maxHeaderBytes));
    else if (this.deadline !== undefined && this.deadline <= now) this.expire();
    else if (kind === "bidi_streaming") runBidi(this, this.openStream());
    else this.transport.startRead();
  }

  onReceiveMessage(bytes: Uint8Array): void {
    if (this.finished) return;
    if (this.served.descriptor.methodKind === "bidi_streaming") {
      this.receiveFrame(bytes);
    } else if (this.requestBytes === undefined) {
      this.requestBytes = bytes;
      this.transport.startRead();
    } else {
      this.fail(wrongCardinality("more than one request"));
    }
  }

  onReceiveHalfClose(): void {
    if (this.finished) return;
    if (this.served.descriptor.methodKind === "bidi_streaming") {
      this.stream?.receiveEnd();
      return;
    }
    if (this.requestBytes === undefined) {
      this.fail(wrongCardinality("no request"));
      return;
    }
    let request: Message;
    try {
      request = decodeRequest(this.served, this.requestBytes);
    } catch (error) {
      this.fail(error);
      return;
    }
    if (this.served.descriptor.methodKind === "unary") runUnary(this, request);
    else void runServerStream(this, this.openStream(), request);
  }

  /** Called at the end of every call; of one that is not settled, because the peer is gone. */
  onCancel(): void {
    // Making the error costs a stack trace, and nearly every call is settled.
    if (!this.finished && this.settle(cancelled())) this.stream?.close();
  }

  complete(response: MessageInitShape<DescMessage>): void {
    if (this.finished) return;
    let bytes: Buffer;
    try {
      bytes = this.encode(response);
    } catch (error) {
      this.fail(error);
      return;
    }
    this.settle(undefined);
    this.transport.sendMessage(bytes, noop);
    this.transport.sendStatus(ok);
  }

  fail(thrown: unknown): void {
    const error = toServiceError(thrown);
    if (!this.settle(error)) return;
    const metadata = new Metadata();
    metadata.set("grpc-status-details-bin", Buffer.from(statusBytes(error)));
    metadata.set("x-request-id", this.requestId);
    this.transport.sendStatus({ code: statusCodes[error.code], details: statusMessage(error), metadata });
    this.stream?.close();
  }

  read(): void {
    this.transport.startRead();
  }

  write(frame: Message): boolean {
    let bytes: Buffer;
    try {
      bytes = this.encode(frame);
    } catch (error) {
      this.fail(error);
      return true;
    }
    const { window } = this;
    if (window === undefined) return true;
    // Counted first: what goes out at once is sent within sendMessage.
    const writable = window.add(bytes.length);
    this.transport.sendMessage(bytes, window.onSent);
    return writable;
  }

  finish(error: unknown): void {
    if (error !== undefined) {
      this.fail(error);
    } else if (this.settle(undefined)) {
      this.transport.sendStatus(ok);
      this.stream?.close();
    }
  }

  private openStream(): Stream {
    const stream = new Stream(this);
    this.stream = stream;
    this.window = new SendWindow(() => stream.becameWritable());
    if (this.deadline !== undefined) this.startDeadlineTimer();
    return stream;
  }

  private receiveFrame(bytes: Uint8Array): void {
    try {
      this.stream?.receive(decodeRequest(this.served, bytes));
    } catch (error) {
      this.fail(error);
    }
  }

  private encode(response: MessageInitShape<DescMessage>): Buffer {
    const bytes = encodeResponse(this.served, response);
    const limit = this.environment.limits.maxMessageBytes;
    if (bytes.length <= limit) return bytes;
    throw new ServiceError("RESOURCE_EXHAUSTED", `The answer is larger than ${limit} bytes.`, {
      reason: "RESPONSE_TOO_LARGE",
    });
  }
}

function wrongCardinality(what: string): ServiceError {
  return new ServiceError("UNIMPLEMENTED", `The call had ${what}, where its method takes one.`, {
    reason: "WRONG_CARDINALITY",
  });
}
