import { connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { BadRequestSchema, ErrorInfoSchema } from "../../../../gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../../../gen/google/rpc/status_pb.ts";

/** What came back, as it was on the wire. */
export interface RawAnswer {
  readonly status: number;
  readonly message: string;
  readonly reason: string | undefined;
  readonly fields: readonly string[];
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Length-prefixed gRPC message. */
export function frame(bytes: Uint8Array, compressed = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(compressed, 0);
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

/** Sends bytes as a gRPC call, well-formed or not, as no client library would. Rejects when the stream is reset. */
export function rawGrpc(
  port: number,
  path: string,
  bodies: readonly Uint8Array[],
  headers: OutgoingHttpHeaders = {},
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://127.0.0.1:${port}`);
    session.on("error", reject);
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    let trailers: IncomingHttpHeaders = {};
    const chunks: Buffer[] = [];
    stream.on("response", (received) => {
      if (received["grpc-status"] !== undefined) trailers = received;
    });
    stream.on("trailers", (received) => (trailers = received));
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", (error) => {
      session.destroy();
      reject(error);
    });
    stream.on("end", () => {
      session.destroy();
      resolve(toAnswer(trailers, Buffer.concat(chunks)));
    });
    for (const body of bodies) stream.write(body);
    stream.end();
  });
}

function toAnswer(trailers: IncomingHttpHeaders, body: Buffer): RawAnswer {
  const encoded = trailers["grpc-status-details-bin"];
  const details = typeof encoded === "string" ? fromBinary(StatusSchema, Buffer.from(encoded, "base64")).details : [];
  const info = details.map((any) => anyUnpack(any, ErrorInfoSchema)).find((found) => found !== undefined);
  const bad = details.map((any) => anyUnpack(any, BadRequestSchema)).find((found) => found !== undefined);
  return {
    status: Number(trailers["grpc-status"] ?? Number.NaN),
    message: decodeURIComponent(String(trailers["grpc-message"] ?? "")),
    reason: info?.reason,
    fields: bad?.fieldViolations.map((violation) => violation.field) ?? [],
    trailers,
    body,
  };
}
