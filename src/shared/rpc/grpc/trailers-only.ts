import type { OutgoingHttpHeaders } from "node:http2";
import { type ServiceError, statusCodes } from "../../service-error.ts";
import { statusBytes, statusMessage } from "../steps/status.ts";

/** The headers of an answer that is nothing but an error ("Trailers-Only" in gRPC over HTTP2), to be made once and sent often. */
export function trailersOnly(error: ServiceError): OutgoingHttpHeaders {
  return {
    ":status": 200,
    "content-type": "application/grpc+proto",
    "grpc-status": statusCodes[error.code],
    "grpc-message": encodeURI(statusMessage(error)),
    "grpc-status-details-bin": Buffer.from(statusBytes(error)).toString("base64"),
  };
}
