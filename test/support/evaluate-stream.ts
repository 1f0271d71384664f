import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type CallOptions, Client, type ClientDuplexStream, credentials, type ServiceError } from "@grpc/grpc-js";
import {
  EvaluateStreamRequestSchema,
  type EvaluateStreamResponse,
  EvaluateStreamResponseSchema,
} from "../../gen/gatehouse/policy/v1/stream_pb.ts";

type Frame = NonNullable<MessageInitShape<typeof EvaluateStreamRequestSchema>["frame"]>;

/** An EvaluateStream of a grpc-js client, to be driven frame by frame. */
export interface TestStream {
  readonly raw: ClientDuplexStream<Frame, EvaluateStreamResponse>;
  send(frame: Frame): void;
  /** The next frame of the server; rejects with the stream's status when it has ended. */
  next(): Promise<EvaluateStreamResponse["frame"]>;
}

export function connect(port: number): Client {
  return new Client(`127.0.0.1:${port}`, credentials.createInsecure());
}

export function openStream(client: Client, options: CallOptions = {}): TestStream {
  const raw = client.makeBidiStreamRequest<Frame, EvaluateStreamResponse>(
    "/gatehouse.policy.v1.PolicyService/EvaluateStream",
    (frame) => Buffer.from(toBinary(EvaluateStreamRequestSchema, create(EvaluateStreamRequestSchema, { frame }))),
    (bytes) => fromBinary(EvaluateStreamResponseSchema, bytes),
    options,
  );
  const frames: EvaluateStreamResponse["frame"][] = [];
  let ended: Error | undefined;
  let wake: (() => void) | undefined;
  raw.on("data", ({ frame }: EvaluateStreamResponse) => {
    frames.push(frame);
    wake?.();
  });
  const end = (error: Error): void => {
    ended ??= error;
    wake?.();
  };
  raw.on("error", (error: ServiceError) => end(error));
  raw.on("end", () => setImmediate(() => end(new Error("ended well"))));
  return {
    raw,
    send: (frame) => void raw.write(frame),
    async next() {
      for (;;) {
        const frame = frames.shift();
        if (frame !== undefined) return frame;
        if (ended !== undefined) throw ended;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
