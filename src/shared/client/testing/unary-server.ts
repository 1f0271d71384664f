/**
 * A PolicyService on a real socket whose Evaluate does as the principal's id says, for the tests of the unary client.
 *
 * `ok`; `slow:<ms>`; `hang`; `fail:<CODE>` without a reason, as the transport would; `refuse` with all details; `overload` as
 * a host under overload would, after 20 ms.
 * Run as a program, it listens on the port given as its argument and prints `listening <port>`.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { type handleUnaryCall, Metadata, Server, ServerCredentials, type StatusObject } from "@grpc/grpc-js";
import { Decision } from "../../../../gen/gatehouse/policy/v1/decision_pb.ts";
import {
  type EvaluateRequest,
  EvaluateRequestSchema,
  type EvaluateResponse,
  EvaluateResponseSchema,
} from "../../../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../../../gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../../../gen/google/rpc/status_pb.ts";
import { type StatusCode, statusCodes } from "../../service-error.ts";

export interface UnaryServer {
  readonly port: number;
  /** Calls that reached the handler. */
  readonly seen: { readonly id: string; readonly metadata: Metadata; readonly cancelled: () => boolean }[];
  /** Ends all calls and closes the port. */
  stop(): void;
}

function refusal(): Partial<StatusObject> {
  const status = create(StatusSchema, {
    code: statusCodes.INVALID_ARGUMENT,
    message: "principal.id: is too long",
    details: [
      anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason: "INVALID_REQUEST", domain: "gatehouse" })),
      anyPack(
        BadRequestSchema,
        create(BadRequestSchema, { fieldViolations: [{ field: "principal.id", description: "is too long" }] }),
      ),
      anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay: { seconds: 1n, nanos: 500_000_000 } })),
    ],
  });
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, status)));
  return { code: status.code, details: status.message, metadata };
}

function overload(): Partial<StatusObject> {
  const info = create(ErrorInfoSchema, { reason: "OVERLOADED", domain: "gatehouse" });
  const code = statusCodes.RESOURCE_EXHAUSTED;
  const metadata = new Metadata();
  const status = create(StatusSchema, { code, details: [anyPack(ErrorInfoSchema, info)] });
  metadata.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, status)));
  return { code, details: "overloaded", metadata };
}

/** Starts the server; port 0 lets the system choose. */
export function startUnaryServer(port = 0): Promise<UnaryServer> {
  const seen: UnaryServer["seen"] = [];
  const evaluate: handleUnaryCall<EvaluateRequest, EvaluateResponse> = (call, callback) => {
    const id = call.request.principal?.id ?? "";
    seen.push({ id, metadata: call.metadata, cancelled: () => call.cancelled });
    const [verb, argument = ""] = id.split(":");
    const answer = (): void =>
      callback(null, create(EvaluateResponseSchema, { decision: Decision.ALLOW, determiningPolicies: [id] }));
    if (verb === "slow") setTimeout(answer, Number(argument));
    else if (verb === "fail") callback({ code: statusCodes[argument as StatusCode], details: "failed as asked" });
    else if (verb === "refuse") callback(refusal());
    else if (verb === "overload") setTimeout(() => callback(overload()), 20);
    else if (verb !== "hang") answer();
  };
  const server = new Server();
  server.addService(
    {
      evaluate: {
        path: "/gatehouse.policy.v1.PolicyService/Evaluate",
        requestStream: false,
        responseStream: false,
        requestDeserialize: (bytes: Buffer) => fromBinary(EvaluateRequestSchema, bytes),
        requestSerialize: (message: EvaluateRequest) => Buffer.from(toBinary(EvaluateRequestSchema, message)),
        responseSerialize: (message: EvaluateResponse) => Buffer.from(toBinary(EvaluateResponseSchema, message)),
        responseDeserialize: (bytes: Buffer) => fromBinary(EvaluateResponseSchema, bytes),
      },
    },
    { evaluate },
  );
  return new Promise((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
      if (error !== null) reject(error);
      else resolve({ port: bound, seen, stop: () => server.forceShutdown() });
    });
  });
}

if (import.meta.main) {
  const { port } = await startUnaryServer(Number(process.argv[2] ?? 0));
  process.stdout.write(`listening ${port}\n`);
}
