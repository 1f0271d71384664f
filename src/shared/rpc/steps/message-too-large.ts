import { ServiceError } from "../../service-error.ts";

/** RESOURCE_EXHAUSTED for a request message beyond the limit, compressed or not. */
export function messageTooLarge(limit: number): ServiceError {
  return new ServiceError("RESOURCE_EXHAUSTED", `The message is larger than ${limit} bytes.`, {
    reason: "MESSAGE_TOO_LARGE",
    metadata: { limit_bytes: String(limit) },
  });
}
