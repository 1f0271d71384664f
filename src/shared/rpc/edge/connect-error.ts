import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { ServiceError, statusCodes, statusName } from "../../service-error.ts";
import { malformedRequest } from "../method.ts";
import { deadlineExceeded } from "../steps/deadline.ts";
import { messageTooLarge } from "../steps/message-too-large.ts";
import { statusDetails, statusMessage } from "../steps/status.ts";

/** The error in connect's form, with its details; the request id goes along as a header. */
export function toConnectError(error: ServiceError, requestId: string): ConnectError {
  const details = statusDetails(error).map(({ desc, value }) => ({ desc, value: create(desc, value) }));
  const code = statusCodes[error.code] as Code;
  return new ConnectError(statusMessage(error), code, { "x-request-id": requestId }, details, error.cause);
}

/** The error meant for the caller, for one that connect raises by itself before or while a handler runs. */
export function fromConnect(error: ConnectError, limit: number): ServiceError {
  switch (error.code) {
    case Code.Internal:
      // The one internal error that is the caller's: bytes that are no such message.
      if (error.rawMessage.startsWith("parse binary")) return malformedRequest(error.rawMessage);
      return new ServiceError("INTERNAL", "An internal error occurred.", { reason: "INTERNAL", cause: error });
    case Code.ResourceExhausted:
      return messageTooLarge(limit);
    case Code.DeadlineExceeded:
      return deadlineExceeded();
    default: {
      const options = { reason: "MALFORMED_MESSAGE", cause: error };
      return new ServiceError(statusName(error.code), withoutValues(error.rawMessage), options);
    }
  }
}

/** What protobuf-es and JSON.parse say of faulty JSON, without the excerpt of it, which may be a secret. */
function withoutValues(message: string): string {
  const separator = " from JSON: ";
  const at = message.indexOf(separator);
  if (at < 0) return message;
  const hint = /^expected [a-z ]+|^key "[^"]{1,64}" is unknown|at position \d+/.exec(
    message.slice(at + separator.length),
  );
  return message.slice(0, at) + (hint === null ? " from JSON" : `${separator}${hint[0]}`);
}

/** Makes one error read as another: connect sends the very object that it raised. */
export function rewrite(raised: ConnectError, as: ConnectError): void {
  Object.assign(raised, {
    code: as.code,
    message: as.message,
    rawMessage: as.rawMessage,
    details: as.details,
    metadata: as.metadata,
  });
}
