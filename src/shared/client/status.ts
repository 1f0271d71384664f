import { fromBinary } from "@bufbuild/protobuf";
import type { Metadata } from "@grpc/grpc-js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { type Status, StatusSchema } from "../../../gen/google/rpc/status_pb.ts";
import { UNSPECIFIED_REASON } from "../resilience/failures.ts";
import { ServiceError, type ServiceErrorOptions, statusCodes, statusName } from "../service-error.ts";

const detailsHeader = "grpc-status-details-bin";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Reads a google.rpc.Status with its ErrorInfo, BadRequest and RetryInfo; details of other types are passed over. */
export function fromRpcStatus(status: Status, cause?: unknown): ServiceError {
  const options: Mutable<ServiceErrorOptions> = { reason: UNSPECIFIED_REASON, cause };
  for (const { typeUrl, value } of status.details) {
    switch (typeUrl.slice(typeUrl.lastIndexOf("/") + 1)) {
      case ErrorInfoSchema.typeName: {
        const info = fromBinary(ErrorInfoSchema, value);
        options.reason = info.reason;
        options.metadata = info.metadata;
        break;
      }
      case BadRequestSchema.typeName:
        options.violations = fromBinary(BadRequestSchema, value).fieldViolations.map(({ field, description }) => ({
          field,
          description,
        }));
        break;
      case RetryInfoSchema.typeName: {
        const delay = fromBinary(RetryInfoSchema, value).retryDelay;
        if (delay !== undefined) options.retryAfterMs = Number(delay.seconds) * 1_000 + Math.ceil(delay.nanos / 1e6);
        break;
      }
    }
  }
  return new ServiceError(statusName(status.code), status.message, options);
}

/** The parts of a failed grpc-js call that say why. */
export interface FailedCall {
  readonly code: number;
  readonly details: string;
  readonly metadata?: Metadata;
}

/** Turns a failed grpc-js call into the ServiceError that the server threw, as far as it told. */
export function fromFailedCall(failure: FailedCall): ServiceError {
  const [details] = failure.metadata?.get(detailsHeader) ?? [];
  if (details instanceof Uint8Array) {
    try {
      return fromRpcStatus({ ...fromBinary(StatusSchema, details), code: failure.code }, failure);
    } catch {
      // A foreign or damaged header: the code and the message remain.
    }
  }
  return new ServiceError(statusName(failure.code), failure.details, { reason: UNSPECIFIED_REASON, cause: failure });
}

/**
 * Whether the server has refused a call before it read any of it, as it does with those that cross its wish to close the
 * connection: such a call may be repeated at once, whatever it does (RFC 9113 section 8.7). grpc-js would do so with its
 * retries on, which are off here; it tells of it by these words alone.
 */
export function wasRefusedUnread({ code, details }: FailedCall): boolean {
  return code === statusCodes.UNAVAILABLE && details === "Stream refused by server";
}
