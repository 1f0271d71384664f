/** A bare grpc-js server that answers each message with its bytes: what the framework alone costs. */
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";

const port = Number(process.env.ECHO_PORT);
const identity = (bytes: Buffer): Buffer => bytes;

const server = new Server();
server.addService(
  {
    echo: {
      path: "/bench.Echo/Echo",
      requestStream: false,
      responseStream: false,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
  },
  {
    echo: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>): void => answer(null, call.request),
  },
);
server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
});
