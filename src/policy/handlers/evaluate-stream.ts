import type { PolicyService } from "../../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import type { BidiStreamHandler } from "../../shared/rpc/handler.ts";
import { EvaluateStreamSession, type StreamDependencies } from "../stream/session.ts";

/** `PolicyService.EvaluateStream`. */
export function createEvaluateStreamHandler(
  dependencies: StreamDependencies,
): BidiStreamHandler<typeof PolicyService.method.evaluateStream> {
  return (call, context) => {
    const session = new EvaluateStreamSession(call, context, dependencies);
    session.start();
  };
}
