import { ServiceError } from "../shared/service-error.ts";
import type { Tracer } from "../shared/tracing/tracer.ts";
import type { Authenticator } from "./domain/credentials/authenticator.ts";

/** Records the verification of each credential, its look-ups and the hashing of passwords included, as one span. */
export function traceAuthentication(tracer: Tracer | undefined, authenticate: Authenticator): Authenticator {
  if (tracer === undefined) return authenticate;
  return async (credential, attempt) => {
    const { traceparent } = attempt;
    const span = traceparent && tracer.start(`authenticate ${credential.kind}`, "internal", traceparent, {});
    if (!span) return await authenticate(credential, attempt);
    try {
      const authentication = await authenticate(credential, attempt);
      span.end();
      return authentication;
    } catch (error) {
      span.end(error instanceof ServiceError ? error : undefined);
      throw error;
    }
  };
}
