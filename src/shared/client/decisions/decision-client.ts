import { PolicyService } from "../../../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { isSampled } from "../../tracing/span.ts";
import { createServiceClient, type ServiceClient, type ServiceClientOptions } from "../service-client.ts";
import { isDecision, undecidedItem } from "./answers.ts";
import { BatchingClient, type BatchingOptions } from "./batching-client.ts";
import type { DecisionClient } from "./decision.ts";
import { takeQuestion } from "./question.ts";

export interface DecisionClientOptions extends ServiceClientOptions, Omit<BatchingOptions, "observer"> {
  /** `stream` brings all questions onto one EvaluateStream; `unary` makes each a call of its own. Default: `stream`. */
  readonly mode?: "stream" | "unary";
}

/** Connects to policy-service, for code that asks single questions from anywhere in the process. */
export function createDecisionClient(options: DecisionClientOptions): DecisionClient {
  const client = createServiceClient(PolicyService, options);
  const unary = unaryClient(client, options.maxMessageBytes ?? 1_048_576);
  if (options.mode === "unary") return unary;
  const batching = new BatchingClient(client, options);
  return options.tracer === undefined ? batching : tracedClient(unary, batching);
}

/** A stream has one trace, its questions many. So a question that is traced is a call of its own: its trace goes on there. */
function tracedClient(unary: DecisionClient, batching: DecisionClient): DecisionClient {
  return {
    evaluate(request, options = {}) {
      const { traceparent } = options;
      const client = traceparent !== undefined && isSampled(traceparent) ? unary : batching;
      return client.evaluate(request, options);
    },
    close: () => batching.close(),
  };
}

function unaryClient(client: ServiceClient<typeof PolicyService>, maxBytes: number): DecisionClient {
  return {
    async evaluate(request, options = {}) {
      const { principal, action, resource, context, entities } = takeQuestion(request, maxBytes);
      const shared = context === undefined ? {} : { context };
      const response = await client.evaluate({ principal, action, resource, entities, ...shared }, options);
      const { decision, determiningPolicies, errors, reason, revision, decisionId } = response;
      if (!isDecision(decision)) throw undecidedItem();
      return { decision, determiningPolicies, errors, reason, revision, decisionId };
    },
    close: () => client.close(),
  };
}
