import type { Http2Server, IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Server } from "@grpc/grpc-js";
import { overloaded } from "../admission/overloaded.ts";
import type { CallEnvironment } from "../call.ts";
import type { ServedMethod } from "../method.ts";
import { deadlineExceeded } from "../steps/deadline.ts";
import { GatedCall } from "./gated-call.ts";
import { trailersOnly } from "./trailers-only.ts";

type StreamListener = (this: Http2Server, stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/** Refusals made in advance. Their delays differ, so that callers do not all return at once. */
const variants = 64;

/**
 * Stands before grpc-js, where a call is no more than its headers: here calls wait for their turn, and those that are refused or
 * come too late get no further. A refusal must cost much less than a call, and half of a call's cost is grpc-js's.
 *
 * grpc-js has no hook so early. It listens to the streams of an http2 server, and the gate takes that listener's place.
 */
export class Gate {
  /** When the call that is being handed to grpc-js arrived, by `performance.now()`. */
  arrivedAt = 0;
  /** Answer to a call whose deadline passed while it waited. */
  readonly tooLate: OutgoingHttpHeaders = trailersOnly(deadlineExceeded());
  private readonly refusals: readonly OutgoingHttpHeaders[];
  private refusal = 0;
  private readonly http2: Http2Server;
  private readonly listener: StreamListener;

  /** @param server Must have its connection injector. */
  constructor(server: Server, methods: readonly ServedMethod[], { admission, limits }: CallEnvironment) {
    const byPath = new Map(methods.map((method) => [method.path, method]));
    this.refusals = Array.from({ length: variants }, () => trailersOnly(overloaded(limits)));
    const { http2Servers } = server as unknown as { http2Servers: ReadonlyMap<Http2Server, unknown> };
    const [http2] = http2Servers.keys();
    const [listener] = (http2?.listeners("stream") ?? []) as StreamListener[];
    if (http2 === undefined || listener === undefined) throw new Error("grpc-js does not listen as it used to");
    this.http2 = http2;
    this.listener = listener;
    http2.removeAllListeners("stream");
    http2.on("stream", (stream, headers) => {
      const now = performance.now();
      const method = byPath.get(headers[":path"] ?? "");
      if (method === undefined || method.essential) {
        this.serve(stream, headers, now);
        return;
      }
      const call = new GatedCall(this, method, stream, headers, now);
      if (method.descriptor.methodKind === "unary") admission.queueUp(call);
      else if (admission.refuses()) call.refuse();
      else call.begin(now);
    });
  }

  /** Hands a call to grpc-js. */
  serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, arrivedAt: number): void {
    this.arrivedAt = arrivedAt;
    this.listener.call(this.http2, stream, headers);
  }

  nextRefusal(): OutgoingHttpHeaders {
    this.refusal = (this.refusal + 1) % variants;
    return this.refusals[this.refusal]!;
  }
}
