import type { DescMethodBiDiStreaming, DescMethodServerStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { ServiceError } from "../service-error.ts";
import type { Call } from "./call.ts";
import type { BidiStreamHandler, ServerStreamHandler, UnaryHandler } from "./handler.ts";
import type { Stream } from "./stream.ts";

/** A unary call of a door. */
export interface UnaryCall extends Call {
  complete(response: object): void;
}

/** Runs a unary handler. One that answers without a promise is answered in the same turn of the event loop. */
export function runUnary(call: UnaryCall, request: Message): void {
  if (call.deadline !== undefined && call.deadline <= Date.now()) {
    call.expire();
    return;
  }
  let response: object | Promise<object>;
  try {
    response = (call.served.handler as UnaryHandler<DescMethodUnary>)(request, call);
  } catch (error) {
    call.fail(error);
    return;
  }
  if (response instanceof Promise) {
    call.startDeadlineTimer();
    response.then(
      (value) => call.complete(value),
      (error: unknown) => call.fail(error),
    );
  } else {
    call.complete(response);
  }
}

/** Runs a handler that answers with a stream, as fast as the peer reads, until it ends, the peer is gone, or the host drains. */
export async function runServerStream(call: Call, stream: Stream, request: Message): Promise<void> {
  const onDrain = (): void => stream.end(draining());
  call.draining.addEventListener("abort", onDrain, { once: true });
  let over = call.finished;
  let wake: (() => void) | undefined;
  stream.onWritable(() => wake?.());
  stream.onClose(() => {
    over = true;
    wake?.();
  });
  if (call.draining.aborted) onDrain();
  try {
    if (!over) {
      const answers = (call.served.handler as ServerStreamHandler<DescMethodServerStreaming>)(request, call);
      for await (const answer of answers) {
        if (over) break;
        const writable = stream.send(create(call.served.descriptor.output, answer));
        if (!writable && !over) await new Promise<void>((resolve) => (wake = resolve));
        if (over) break;
      }
    }
    stream.end();
  } catch (error) {
    stream.end(error);
  } finally {
    call.draining.removeEventListener("abort", onDrain);
  }
}

/** Runs a handler of a bidirectional stream. */
export function runBidi(call: Call, stream: Stream): void {
  try {
    (call.served.handler as BidiStreamHandler<DescMethodBiDiStreaming>)(stream, call);
  } catch (error) {
    stream.end(error);
  }
}

/** UNAVAILABLE of a stream that ends because the host does. */
export function draining(): ServiceError {
  return new ServiceError("UNAVAILABLE", "The server is shutting down.", { reason: "DRAINING", retryAfterMs: 100 });
}
