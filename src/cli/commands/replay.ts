import { fromJson } from "@bufbuild/protobuf";
import { Decision } from "../../../gen/gatehouse/policy/v1/decision_pb.ts";
import { EntitySchema } from "../../../gen/gatehouse/policy/v1/entity_pb.ts";
import { PolicyService } from "../../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { createServiceClient } from "../../shared/client/service-client.ts";
import { ServiceError } from "../../shared/service-error.ts";
import { type Command, CommandError, type CommandInput } from "../command.ts";
import { storeOptions } from "../open-buses.ts";
import { findLoggedDecision, type LoggedDecision } from "../replay/logged-decision.ts";
import { notesOn, toTestFile } from "../replay/test-case.ts";
import { jsonOption, policyOptions, tlsOf } from "../service-client.ts";

const active = "active";

/** Makes a test case of a logged decision, or decides it again. */
export const replay: Command = {
  name: "replay",
  summary: "Make a test case of a logged decision, or decide it again on another policy revision.",
  details: [
    "Finds the decision in an audit file, or else on the bus: Redis at REDIS_URL, or the embedded store in DATA_DIR.",
    "Without --revision it writes a file for `gatehouse policy test`. With it, policy-service decides again, with the entities",
    "that it holds now; the exit code is 0 when the decision is the same and 1 when it is not.",
  ].join("\n"),
  arguments: ["DECISION_ID"],
  options: {
    file: { type: "string", placeholder: "PATH", description: "Audit file to look in." },
    revision: {
      type: "string",
      placeholder: "REVISION",
      description: `Decide again on this revision; \`${active}\` for the one in force.`,
    },
    ...storeOptions,
    ...policyOptions,
    ...jsonOption,
  },
  async run(input) {
    const { values, out, err } = input;
    const [decisionId] = input.positionals as [string];
    const logged = await findLoggedDecision(input, decisionId);
    if (values.revision === undefined) {
      out(values.json ? JSON.stringify({ logged }) : toTestFile(logged));
      return 0;
    }
    const evaluated = await evaluate(logged, String(values.revision), values);
    const same = evaluated.decision === logged.decision;
    if (values.json) out(JSON.stringify({ logged, evaluated, same }));
    else {
      for (const note of notesOn(logged).slice(1)) err(note);
      out(`${logged.revision}: ${decisionText(logged)}\n${evaluated.revision}: ${decisionText(evaluated)}`);
    }
    return same ? 0 : 1;
  },
};

type Outcome = Pick<LoggedDecision, "decision" | "determining" | "revision">;

/** @throws CommandError when there is not enough to decide by, and for whatever policy-service refuses. */
async function evaluate(logged: LoggedDecision, revision: string, values: CommandInput["values"]): Promise<Outcome> {
  const { principal, action, resource, context, entities } = logged;
  if (context === undefined || entities === undefined) {
    throw new CommandError("Its context or entities were too large to be logged: it cannot be decided again.");
  }
  const address = String(values.address);
  const client = createServiceClient(PolicyService, {
    address,
    tls: tlsOf(values),
    target: `policy-service at ${address}`,
    deadlineMs: 10_000,
  });
  try {
    const answer = await client.evaluate({
      principal,
      action,
      resource,
      context,
      entities: entities.map((entity) => fromJson(EntitySchema, entity)),
      revision: revision === active ? "" : revision,
    });
    const decision = answer.decision === Decision.ALLOW ? "ALLOW" : "DENY";
    return { decision, determining: answer.determiningPolicies, revision: answer.revision };
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    throw new CommandError(`${error.message} (${error.code}, ${error.reason})`);
  } finally {
    client.close();
  }
}

function decisionText({ decision, determining }: Outcome): string {
  return `${decision} ${determining.length === 0 ? "by default" : `by ${determining.join(", ")}`}`;
}
