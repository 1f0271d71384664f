import type { Logger } from "pino";
import type { Authorization } from "../../../gen/envoy/service/auth/v3/external_auth_pb.ts";
import type { CallContext, UnaryHandler } from "../../shared/rpc/handler.ts";
import { requestIdFrom } from "../../shared/rpc/steps/trace.ts";
import { ServiceError } from "../../shared/service-error.ts";
import type { Checker, Verdict } from "../check/checker.ts";
import type { MappingSettings } from "../check/mapping.ts";
import type { CheckedRequest } from "../check/request.ts";
import { checkedRequest } from "../check-request.ts";
import { checkResponse } from "../check-response.ts";
import { callOf } from "../convert.ts";
import type { DecisionCall } from "../domain/authorizer.ts";

export interface CheckDependencies {
  readonly check: Checker;
  /** Settings of the mapping of now. */
  readonly settings: () => MappingSettings | undefined;
  /** Counts what became of requests. */
  readonly observe: (outcome: Verdict["kind"]) => void;
}

/** `envoy.service.auth.v3.Authorization.Check`: whether a proxy may let a request through. */
export function createCheckHandler({
  check,
  settings,
  observe,
}: CheckDependencies): UnaryHandler<typeof Authorization.method.check> {
  return async (message, context) => {
    const request = checkedRequest(message);
    let verdict = await check(request, callFor(request, context));
    let response: ReturnType<typeof checkResponse>;
    try {
      response = checkResponse(verdict, request, settings());
    } catch (cause) {
      verdict = { kind: "unavailable", cause };
      response = checkResponse(verdict, request);
    }
    observe(verdict.kind);
    if (verdict.kind === "unavailable") report(verdict.cause, context.logger);
    return response;
  };
}

/** What is away is away for every request, and is told of where it is noticed; only a fault of ours is news. */
function report(cause: unknown, logger: Logger): void {
  if (cause instanceof ServiceError) logger.debug({ reason: cause.reason }, "a request could not be decided");
  else logger.error({ err: cause }, "a request could not be decided");
}

/** The call as the caller's, not the proxy's. */
function callFor(request: CheckedRequest, context: CallContext): DecisionCall {
  const requestId = requestIdFrom(request.header("x-request-id"));
  const { peerPrincipal: _, forwardedClientCert: __, ...call } = callOf(context);
  return { ...call, peerAddress: request.sourceAddress, requestId };
}
