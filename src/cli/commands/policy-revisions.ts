import {
  ActivateRevisionResponseSchema,
  ListRevisionsResponseSchema,
  PolicyAdminService,
  RollbackResponseSchema,
} from "../../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import { type Command, type CommandOption, UsageError } from "../command.ts";
import { json } from "../identity-output.ts";
import { revisionsText } from "../policy-output.ts";
import { adminDetails, jsonOption, policyOptions, withClient } from "../service-client.ts";

const expectOption: { readonly [name: string]: CommandOption } = {
  expect: {
    type: "string",
    default: "",
    placeholder: "REVISION",
    description: "Refuse unless this revision is active now.",
  },
};

/** Lists revisions. */
export const policyRevisions: Command = {
  name: "policy revisions",
  summary: "List the published policy revisions, newest first.",
  details: adminDetails,
  arguments: [],
  options: {
    limit: { type: "string", default: "20", placeholder: "NUMBER", description: "Most revisions to list." },
    ...policyOptions,
    ...jsonOption,
  },
  async run({ values, out }) {
    const pageSize = Number(values.limit);
    if (!Number.isInteger(pageSize) || pageSize < 1 || pageSize > 1_000) {
      throw new UsageError("--limit must be a number from 1 to 1000");
    }
    const answer = await withClient(PolicyAdminService, { values }, (client, options) =>
      client.listRevisions({ pageSize }, options),
    );
    out(values.json ? json(ListRevisionsResponseSchema, answer) : revisionsText(answer.revisions));
    return 0;
  },
};

/** Activates a revision. */
export const policyActivate: Command = {
  name: "policy activate",
  summary: "Make a policy revision the active one, on every replica.",
  details: adminDetails,
  arguments: ["REVISION"],
  options: {
    ...expectOption,
    "max-shadow-difference": {
      type: "string",
      placeholder: "SHARE",
      description: "Refuse unless it is the shadow and differed in at most this share of the requests, 0 to 1.",
    },
    ...policyOptions,
    ...jsonOption,
  },
  async run({ positionals, values, out }) {
    const [revision] = positionals as [string];
    const share = values["max-shadow-difference"];
    const most = share === undefined ? undefined : Number(share);
    if (most !== undefined && !(most >= 0 && most <= 1)) {
      throw new UsageError("--max-shadow-difference must be a number from 0 to 1");
    }
    const request = { revision, expectedActive: String(values.expect) };
    const answer = await withClient(PolicyAdminService, { values }, (client, options) =>
      client.activateRevision(most === undefined ? request : { ...request, maxShadowDifference: most }, options),
    );
    out(values.json ? json(ActivateRevisionResponseSchema, answer) : changeText(answer));
    return 0;
  },
};

/** Goes back to the revision before. */
export const policyRollback: Command = {
  name: "policy rollback",
  summary: "Make the revision active again that was before the current one.",
  details: adminDetails,
  arguments: [],
  options: { ...expectOption, ...policyOptions, ...jsonOption },
  async run({ values, out }) {
    const answer = await withClient(PolicyAdminService, { values }, (client, options) =>
      client.rollback({ expectedActive: String(values.expect) }, options),
    );
    out(values.json ? json(RollbackResponseSchema, answer) : changeText(answer));
    return 0;
  },
};

function changeText({ active, previous }: { readonly active: string; readonly previous: string }): string {
  return `${active} is active, ${previous === "" ? "none" : previous} was before.`;
}
