import { Client, credentials, type ServiceError } from "@grpc/grpc-js";

const identity = (bytes: Buffer): Buffer => bytes;

/** Makes unary gRPC calls of encoded messages. */
export interface GrpcCaller {
  /** Answers the status code. */
  call(path: string, message: Uint8Array, deadlineMs: number): Promise<number>;
  close(): void;
}

export function createGrpcCaller(port: number): GrpcCaller {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  return {
    call: (path, message, deadlineMs) =>
      new Promise((resolve) => {
        const options = { deadline: Date.now() + deadlineMs };
        const done = (error: ServiceError | null): void => resolve(error?.code ?? 0);
        client.makeUnaryRequest(path, identity, identity, Buffer.from(message), options, done);
      }),
    close: () => client.close(),
  };
}
