import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../../../gen/google/rpc/error_details_pb.ts";
import { type Status, StatusSchema } from "../../../../gen/google/rpc/status_pb.ts";
import { ServiceError, statusCodes } from "../../service-error.ts";

const domain = "gatehouse";
const maxMessageLength = 1_024;

/** One detail message of a status. */
export interface StatusDetail {
  readonly desc: DescMessage;
  readonly value: MessageInitShape<DescMessage>;
}

/** The error meant for the caller, for whatever was thrown: anything but a ServiceError is INTERNAL and says nothing. */
export function toServiceError(error: unknown): ServiceError {
  if (error instanceof ServiceError) return error;
  return new ServiceError("INTERNAL", "An internal error occurred.", { reason: "INTERNAL", cause: error });
}

/** The message of an error, fit for a header: well-formed and bounded. */
export function statusMessage(error: ServiceError): string {
  return error.message.slice(0, maxMessageLength).toWellFormed();
}

/** ErrorInfo always; BadRequest and RetryInfo where the error has them. */
export function statusDetails(error: ServiceError): StatusDetail[] {
  const info = { reason: error.reason, domain, metadata: { ...error.metadata } };
  const details: StatusDetail[] = [{ desc: ErrorInfoSchema, value: create(ErrorInfoSchema, info) }];
  if (error.violations.length > 0) {
    const fieldViolations = error.violations.map(({ field, description }) => ({
      field: field.toWellFormed(),
      description: description.toWellFormed(),
    }));
    details.push({ desc: BadRequestSchema, value: create(BadRequestSchema, { fieldViolations }) });
  }
  if (error.retryAfterMs !== undefined) {
    const ms = Math.max(0, Math.ceil(error.retryAfterMs));
    const retryDelay = { seconds: BigInt(Math.floor(ms / 1_000)), nanos: (ms % 1_000) * 1_000_000 };
    details.push({ desc: RetryInfoSchema, value: create(RetryInfoSchema, { retryDelay }) });
  }
  return details;
}

/** Whatever was thrown, as a google.rpc.Status. */
export function toStatus(thrown: unknown): Status {
  const error = toServiceError(thrown);
  const details = statusDetails(error).map(({ desc, value }) => anyPack(desc, create(desc, value)));
  return create(StatusSchema, { code: statusCodes[error.code], message: statusMessage(error), details });
}

/** A google.rpc.Status in binary, for `grpc-status-details-bin`. */
export function statusBytes(error: ServiceError): Uint8Array {
  return toBinary(StatusSchema, toStatus(error));
}
