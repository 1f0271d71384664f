import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { ClientDuplexStream, ClientReadableStream } from "@grpc/grpc-js";
import type { ServiceError } from "../service-error.ts";
import { serialize } from "./codec.ts";
import { type FailedCall, fromFailedCall } from "./status.ts";

/** The caller's side of a bidirectional stream, driven by events: no promise a frame. */
export interface BidiStream<I extends DescMessage, O extends DescMessage> {
  /** Called for each frame, in order. */
  onFrame(listener: (frame: MessageShape<O>) => void): void;
  /** Called when `send` has answered false and there is room again. */
  onWritable(listener: () => void): void;
  /** Called once when the stream is over; without an error when the server ended it well. */
  onClose(listener: (error: ServiceError | undefined) => void): void;
  /** Sends a frame; false when the server is slow and the caller should wait for `onWritable`. */
  send(frame: MessageShape<I>): boolean;
  /** Says that no more frames come. The server's remaining answers still do. */
  end(): void;
  /** Ends the stream at once. */
  cancel(): void;
}

export function bidiStream<I extends DescMessage, O extends DescMessage>(
  stream: ClientDuplexStream<Buffer, MessageShape<O>>,
  input: I,
): BidiStream<I, O> {
  let failure: FailedCall | undefined;
  // Without a listener, the error that ends a stream would end the process.
  stream.on("error", (error) => {
    failure = error as unknown as FailedCall;
  });
  return {
    onFrame: (listener) => void stream.on("data", listener),
    onWritable: (listener) => void stream.on("drain", listener),
    onClose: (listener) =>
      void stream.on("status", (status: FailedCall) => {
        listener(status.code === 0 ? undefined : fromFailedCall(failure ?? status));
      }),
    send: (frame) => stream.write(serialize(input, frame as never)),
    end: () => void stream.end(),
    cancel: () => stream.cancel(),
  };
}

/** The answers of a server-streaming call; leaving the loop cancels the call. */
export async function* serverStream<O extends DescMessage>(
  stream: ClientReadableStream<MessageShape<O>>,
): AsyncGenerator<MessageShape<O>, void, undefined> {
  stream.on("error", () => {});
  try {
    for await (const message of stream) yield message as MessageShape<O>;
  } catch (error) {
    throw fromFailedCall(error as FailedCall);
  } finally {
    stream.cancel();
  }
}
