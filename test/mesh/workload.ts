/**
 * The workload behind the proxy: answers every request with what it was told of it, over HTTP/1.1 and gRPC.
 *
 * As a command it listens on `WORKLOAD_PORT` and `WORKLOAD_GRPC_PORT`.
 */
import { createServer, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { type Metadata, Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";

/** What the workload saw of a request. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A running workload. */
export interface Workload {
  /** Requests that have reached it, over HTTP and gRPC. */
  readonly reached: number;
  close(): void;
}

const grpcPath = "/demo.documents.v1.Documents/Get";
const identity = (bytes: Buffer): Buffer => bytes;

export async function startWorkload(port: number, grpcPort: number): Promise<Workload> {
  let reached = 0;
  const http = createServer(async (request, response) => {
    reached += 1;
    const seen: Seen = {
      method: request.method ?? "",
      path: request.url ?? "",
      headers: headersOf(request),
      body: await text(request),
    };
    response.setHeader("content-type", "application/json").end(JSON.stringify(seen));
  });
  http.keepAliveTimeout = 60_000;
  const grpc = new Server();
  grpc.addService(
    {
      get: {
        path: grpcPath,
        requestStream: false,
        responseStream: false,
        requestSerialize: identity,
        requestDeserialize: identity,
        responseSerialize: identity,
        responseDeserialize: identity,
      },
    },
    {
      get(call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>): void {
        reached += 1;
        const seen: Seen = {
          method: "POST",
          path: grpcPath,
          headers: metadataOf(call.metadata),
          body: call.request.toString(),
        };
        answer(null, Buffer.from(JSON.stringify(seen)));
      },
    },
  );
  await new Promise<void>((resolve) => http.listen(port, "127.0.0.1", resolve));
  await new Promise<void>((resolve, reject) => {
    grpc.bindAsync(`127.0.0.1:${grpcPort}`, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    );
  });
  return {
    get reached() {
      return reached;
    },
    close() {
      http.close();
      http.closeAllConnections();
      grpc.forceShutdown();
    },
  };
}

function headersOf({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

function metadataOf(metadata: Metadata): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata.getMap()).map(([name, value]) => [name, String(value)]));
}

if (import.meta.main) await startWorkload(Number(process.env.WORKLOAD_PORT), Number(process.env.WORKLOAD_GRPC_PORT));
