import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  PolicyAdminService,
  type PolicyBundleSchema,
  PublishPoliciesResponseSchema,
} from "../../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import { readPolicyFiles } from "../../policy/adapters/policy-files.ts";
import type { Command } from "../command.ts";
import { json } from "../identity-output.ts";
import { findingsText, revisionsText } from "../policy-output.ts";
import { adminDetails, jsonOption, policyOptions, withClient } from "../service-client.ts";

/** Publishes a policy directory. */
export const policyPublish: Command = {
  name: "policy publish",
  summary: "Publish the policies of a directory as a new revision.",
  details: `Entities are not published: they change by themselves. ${adminDetails}`,
  arguments: ["DIR"],
  options: {
    comment: { type: "string", short: "m", default: "", placeholder: "TEXT", description: "What changed, and why." },
    activate: { type: "boolean", description: "Make it the active revision at once." },
    "skip-failing-forbids": { type: "boolean", description: "Let a failing forbid be skipped, as Cedar does." },
    ...policyOptions,
    ...jsonOption,
  },
  async run({ positionals, values, out, err }) {
    const [directory] = positionals as [string];
    const bundle = await readBundle(directory, values["skip-failing-forbids"] === true);
    const request = { bundle, comment: String(values.comment), activate: values.activate === true };
    const answer = await withClient(PolicyAdminService, { values }, (client, options) =>
      client.publishPolicies(request, options),
    );
    if (values.json) {
      out(json(PublishPoliciesResponseSchema, answer));
      return 0;
    }
    if (answer.findings.length > 0) err(findingsText(answer.findings));
    out(revisionsText([answer.revision!]));
    return 0;
  },
};

/** The policies of a directory as a bundle. */
async function readBundle(
  directory: string,
  skipFailingForbids: boolean,
): Promise<MessageInitShape<typeof PolicyBundleSchema>> {
  const { policies, schema, links } = await readPolicyFiles(directory);
  const files = policies.map(({ name, text }) => ({ name, text }));
  return { files, schema: schema?.text ?? "", links: links?.text ?? "", skipFailingForbids };
}
