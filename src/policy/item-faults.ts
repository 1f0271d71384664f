import type { PolicyError } from "../../gen/gatehouse/policy/v1/decision_pb.ts";
import type { Status } from "../../gen/google/rpc/status_pb.ts";
import { toServiceError, toStatus } from "../shared/rpc/steps/status.ts";
import { statusCodes } from "../shared/service-error.ts";

/** Characters that the faults of one answer may take in full. */
const fullText = 65_536;
/** What a status takes beside its texts: the type urls of its details. */
const statusOverhead = 200;

/**
 * The faults of the items of one answer, which may be as many as its items: once they have taken their share of the
 * message, those that follow are cut to what a program needs, so that faults never make an answer too large to send.
 */
export class ItemFaults {
  #room = fullText;

  /** A whole status; later on its code, with the reason for a message. */
  status(thrown: unknown): Status {
    const error = toServiceError(thrown);
    if (this.#room <= 0) {
      return { $typeName: "google.rpc.Status", code: statusCodes[error.code], message: error.reason, details: [] };
    }
    this.#room -= statusOverhead + error.message.length;
    for (const { field, description } of error.violations) this.#room -= field.length + description.length;
    return toStatus(error);
  }

  /** Policies that failed; later on without their messages. */
  policyErrors(errors: readonly { readonly policyId: string; readonly message: string }[]): PolicyError[] {
    return errors.map(({ policyId, message }) => {
      const isFull = this.#room > 0;
      if (isFull) this.#room -= message.length;
      return { $typeName: "gatehouse.policy.v1.PolicyError", policyId, message: isFull ? message : "" };
    });
  }
}
