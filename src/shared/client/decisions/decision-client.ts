import { PolicyService } from "../../../../gen/gatehouse/policy/v1/policy_service_pb.ts";
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
  if (options.mode === "unary") return unaryClient(client, options.maxMessageBytes ?? 1_048_576);
  return new BatchingClient(client, options);
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
