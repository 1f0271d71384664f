import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";
import { ServiceError, statusCodes, statusName } from "../../service-error.ts";
import type { Call } from "../call.ts";
import { malformedRequest } from "../method.ts";
import { deadlineExceeded } from "../steps/deadline.ts";
import { messageTooLarge } from "../steps/message-too-large.ts";

type Status = Parameters<ServerInterceptingCallInterface["sendStatus"]>[0];
type ReportingTransport = ServerInterceptingCallInterface & { owner?: Call };

/**
 * Makes a grpc-js call report the errors that it would answer by itself (message too large, deadline, undecodable timeout or
 * compression), so that they carry details and are counted and logged like all others.
 *
 * grpc-js has no hook for them: it calls its own `sendStatus`, which is therefore overridden on the instance.
 */
export function reportTransportStatus(transport: ReportingTransport, call: Call): void {
  transport.owner = call;
  transport.sendStatus = sendStatus;
}

function sendStatus(this: ReportingTransport, status: Status): void {
  if (this.owner!.finished) Object.getPrototypeOf(this).sendStatus.call(this, status);
  else this.owner!.fail(fromTransport(status, this.owner!));
}

function fromTransport(status: Status, call: Call): ServiceError {
  switch (status.code) {
    case statusCodes.RESOURCE_EXHAUSTED:
      return messageTooLarge(call.environment.limits.maxMessageBytes);
    case statusCodes.DEADLINE_EXCEEDED:
      return deadlineExceeded();
    case statusCodes.INTERNAL:
      return malformedRequest(status.details);
    default:
      return new ServiceError(statusName(status.code ?? statusCodes.UNKNOWN), status.details ?? "", {
        reason: "TRANSPORT",
      });
  }
}
