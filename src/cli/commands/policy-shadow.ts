import {
  GetShadowReportResponseSchema,
  PolicyAdminService,
} from "../../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import { type Command, UsageError } from "../command.ts";
import { json } from "../identity-output.ts";
import { shadowReportText } from "../policy-output.ts";
import { adminDetails, jsonOption, policyOptions, withClient } from "../service-client.ts";

/** Shadows a revision. */
export const policyShadowSet: Command = {
  name: "policy shadow set",
  summary: "Evaluate a revision beside the active one on live requests, without any effect on answers.",
  details: adminDetails,
  arguments: ["REVISION"],
  options: {
    sample: { type: "string", default: "1", placeholder: "SHARE", description: "Share of the requests, above 0 to 1." },
    ...policyOptions,
  },
  async run({ positionals, values, out }) {
    const [revision] = positionals as [string];
    const sampleRate = Number(values.sample);
    if (!(sampleRate > 0 && sampleRate <= 1)) throw new UsageError("--sample must be a number above 0, to 1");
    await withClient(PolicyAdminService, { values }, (client, options) =>
      client.setShadow({ revision, sampleRate }, options),
    );
    out(`${revision} is the shadow.`);
    return 0;
  },
};

/** Ends the shadow. */
export const policyShadowStop: Command = {
  name: "policy shadow stop",
  summary: "Evaluate no revision beside the active one any more.",
  details: adminDetails,
  arguments: [],
  options: policyOptions,
  async run({ values, out }) {
    await withClient(PolicyAdminService, { values }, (client, options) => client.setShadow({}, options));
    out("There is no shadow.");
    return 0;
  },
};

/** Tells where the shadow differs. */
export const policyShadowReport: Command = {
  name: "policy shadow report",
  summary: "Show in which requests the shadow decided differently, by the policies that decided.",
  details: adminDetails,
  arguments: [],
  options: {
    "exit-code": { type: "boolean", description: "Exit with 1 when there is a difference." },
    ...policyOptions,
    ...jsonOption,
  },
  async run({ values, out }) {
    const report = await withClient(PolicyAdminService, { values }, (client, options) =>
      client.getShadowReport({}, options),
    );
    out(values.json ? json(GetShadowReportResponseSchema, report) : shadowReportText(report));
    return values["exit-code"] && report.different > 0n ? 1 : 0;
  },
};
