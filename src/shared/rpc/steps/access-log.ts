import type { Logger } from "pino";
import type { ServiceError } from "../../service-error.ts";
import type { Call } from "../call.ts";

/** Codes that mean that something is wrong here rather than with the call. */
const ownFaults: ReadonlySet<string> = new Set(["INTERNAL", "UNKNOWN", "DATA_LOSS"]);

/**
 * Logs a finished call: `debug` when it went well (so that by default it costs a comparison), `info` when it did not,
 * `error` with its cause when the fault is ours. Request and answer are not logged.
 */
export function logCall(logger: Logger, call: Call, durationMs: number, error: ServiceError | undefined): void {
  if (error === undefined) {
    if (!logger.isLevelEnabled("debug")) return;
    const { method, peerAddress: peer, peerPrincipal } = call;
    call.logger.debug({ method, code: "OK", durationMs, peer, peerPrincipal }, "call");
    return;
  }
  const { method, peerAddress: peer, peerPrincipal } = call;
  const fields = { method, code: error.code, reason: error.reason, durationMs, peer, peerPrincipal };
  if (ownFaults.has(error.code)) call.logger.error({ ...fields, err: error.cause ?? error }, "call failed");
  // Under overload the log must not be what breaks.
  else if (error.reason === "OVERLOADED") call.logger.debug(fields, "call refused");
  else call.logger.info(fields, "call refused");
}
