import { ServiceError } from "../../service-error.ts";

/** CANCELLED of a call whose caller is gone. */
export function cancelled(): ServiceError {
  return new ServiceError("CANCELLED", "The caller is gone.", { reason: "CANCELLED" });
}
